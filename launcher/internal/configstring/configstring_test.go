package configstring

import (
	"encoding/json"
	"os"
	"testing"
)

func TestStringsAreWhatTheVectorsSay(t *testing.T) {
	content, err := os.ReadFile("../../../tests/vectors/config_string.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Cases []struct {
			Name   string
			Config Config
			String string
		}
	}
	if err := json.Unmarshal(content, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, test := range vectors.Cases {
		if got := Encode(test.Config); got != test.String {
			t.Errorf("%s: %s instead of %s", test.Name, got, test.String)
		}
	}
}
