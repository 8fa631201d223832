package say

var german = map[string]string{}
