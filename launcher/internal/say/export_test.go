package say

import (
	"maps"
	"slices"
)

// Translation returns the German form of a text.
func Translation(text string) (string, bool) { found, isKnown := german[text]; return found, isKnown }

// Translated returns all texts that have one.
func Translated() []string { return slices.Collect(maps.Keys(german)) }
