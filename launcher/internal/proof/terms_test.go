package proof

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// These speak of files that are elsewhere on Windows.
var ownWords = []Cause{NameTimeout, NameLoopback}

func TestProofsCausesAndRemediesAreThoseOfTheProbe(t *testing.T) {
	content, err := os.ReadFile("../../../tests/vectors/proofs.json")
	if err != nil {
		t.Fatal(err)
	}
	var shared struct {
		Proofs   []string
		Remedies map[Cause]string
	}
	if err := json.Unmarshal(content, &shared); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(shared.Proofs, Names) {
		t.Error(Names)
	}
	if len(shared.Remedies) != len(remedies) {
		t.Errorf("%d causes instead of %d", len(remedies), len(shared.Remedies))
	}
	places := map[string]int{"{host}": 1, "{port}": 2, "{protocol}": 3, "{daemon}": 4}
	verbs := map[string]string{"{host}": "s", "{port}": "d", "{protocol}": "s", "{daemon}": "s"}
	for cause, text := range shared.Remedies {
		wanted := regexp.MustCompile(`\{\w+\}`).ReplaceAllStringFunc(text, func(place string) string {
			return fmt.Sprintf("%%[%d]%s", places[place], verbs[place])
		})
		got, isThere := remedies[cause]
		if !isThere || got.Format != wanted && !slices.Contains(ownWords, cause) {
			t.Errorf("%s: %q instead of %q", cause, got.Format, wanted)
		}
	}
}
