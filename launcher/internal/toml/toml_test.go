package toml

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

type mergeCase struct {
	Name     string
	Text     string
	Table    string
	Settings []struct {
		Key   string
		Value *string
	}
	Merged string
	Error  string
}

func vectors(t testing.TB) (cases []mergeCase, invalid, valid []string) {
	t.Helper()
	content, err := os.ReadFile("../../../tests/vectors/toml_merge.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Cases   []mergeCase
		Invalid []string
		Valid   []string
	}
	if err := json.Unmarshal(content, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Cases) < 50 || len(all.Invalid) < 50 || len(all.Valid) < 20 {
		t.Fatal("too few cases")
	}
	return all.Cases, all.Invalid, all.Valid
}

func TestMergeIsWhatTheVectorsSay(t *testing.T) {
	cases, _, _ := vectors(t)
	for _, test := range cases {
		settings := []Setting{}
		for _, setting := range test.Settings {
			settings = append(settings, Setting(setting))
		}
		got, err := Merge(test.Text, test.Table, settings)
		if test.Error != "" {
			problem, isOurs := err.(*Error)
			if !isOurs || problem.Unsafe != (test.Error == "unsafe") {
				t.Errorf("%s: %q, %v instead of the error %s", test.Name, got, err, test.Error)
			}
			continue
		}
		if err != nil || got != test.Merged {
			t.Errorf("%s: %q, %v instead of %q", test.Name, got, err, test.Merged)
		}
	}
}

func TestWhatIsNoTomlIsRefusedAndTheRestIsRead(t *testing.T) {
	_, invalid, valid := vectors(t)
	for _, text := range invalid {
		if found, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %v", text, found)
		}
	}
	for _, text := range valid {
		if _, err := Parse(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestErrorNamesTheLine(t *testing.T) {
	_, err := Parse("a = 1\r\n[options]\r\nkey = \r\n")
	if problem, isOurs := err.(*Error); !isOurs || problem.Line != 3 || err.Error() != "is not TOML (line 3)" {
		t.Error(err)
	}
}

func TestNestingHasAnEnd(t *testing.T) {
	for _, deep := range []string{strings.Repeat("[", 100000), strings.Repeat("{a=", 100000)} {
		if _, err := Parse("a = " + deep); err == nil {
			t.Error("taken")
		}
	}
}

func TestOneValueThatIsNoStringHidesTheOthers(t *testing.T) {
	values, err := Parse("[options]\nkey = 'a'\nport = 1\n")
	if err != nil {
		t.Fatal(err)
	}
	found, wrong := Strings(values, "options")
	if len(found) != 0 || !reflect.DeepEqual(wrong, []string{"port"}) {
		t.Error(found, wrong)
	}
}

func TestHeaderGoesWithTheBlankLineAboveIt(t *testing.T) {
	for text, wanted := range map[string]string{
		"a = 1\n\n[options]\n":          "a = 1\n",
		"a = 1\r\n\r\n[options]\r\n":    "a = 1\r\n",
		"a = 1\n\n[options]":            "a = 1",
		"[options]\n":                   "",
		"a = 1\n[options] # kept\n":     "a = 1\n[options] # kept\n",
		"[options]\nkey = 'a'\n":        "[options]\nkey = 'a'\n",
		BOM + "\n[options]\n":           BOM,
		"a = 1\n\n\n[options]\n\n[b]\n": "a = 1\n\n\n[b]\n",
	} {
		if got, err := WithoutHeader(text, "options"); err != nil || got != wanted {
			t.Errorf("%q: %q, %v instead of %q", text, got, err, wanted)
		}
	}
}

// FuzzMerge holds whatever comes to what a merge promises: values are there, everything else is kept, again changes nothing.
func FuzzMerge(f *testing.F) {
	cases, invalid, valid := vectors(f)
	for _, test := range cases {
		f.Add(test.Text, "key", "v'\n")
	}
	for _, text := range append(invalid, valid...) {
		f.Add(text, "relay-server", "rd.example.org")
	}
	f.Fuzz(func(t *testing.T, text, key, value string) {
		before, err := Parse(text)
		if err != nil {
			return
		}
		merged, err := Merge(text, "options", []Setting{{key, &value}})
		if err != nil {
			if problem, isOurs := err.(*Error); !isOurs || !problem.Unsafe {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		after, err := Parse(merged)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, merged, err)
		}
		inside := after["options"].(Values)
		if inside[key] != value {
			t.Fatalf("%q became %q without the value", text, merged)
		}
		if again, err := Merge(merged, "options", []Setting{{key, &value}}); err != nil || again != merged {
			t.Fatalf("%q became %q, then %q, %v", text, merged, again, err)
		}
		delete(inside, key)
		if old, isTable := before["options"].(Values); isTable {
			delete(old, key)
		} else if len(inside) == 0 {
			delete(after, "options")
		}
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("%q became %q", text, merged)
		}
	})
}
