package say_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rustdesk-launcher/internal/say"
)

// Which argument of which function is a text for people.
var makers = map[string]int{"T": 0, "Errorf": 0, "fail": 2}

// What means the same in both languages.
var same = []string{"", "%s", "%s; %s", "%s %s", "Name: %s"}

var verbs = regexp.MustCompile(`%(\[\d+\])?[ ]?[a-z]`)

// texts returns every text for people in the source, and the words that stand in one as its values.
func texts(t *testing.T) []string {
	t.Helper()
	found := []string{}
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if call, isCall := node.(*ast.CallExpr); isCall {
				words, isPlain := wordsOf(call, file.Name.Name)
				if !isPlain {
					t.Errorf("%s, byte %d: the text is put together, so nobody can translate it", path, call.Pos())
				}
				found = append(found, words...)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// wordsOf returns the text of a call that makes one, and what is written out among its values; option names are no words. It is
// plain where the text stands in the source, or is the argument of a maker.
func wordsOf(call *ast.CallExpr, in string) (found []string, isPlain bool) {
	name := ""
	switch called := call.Fun.(type) {
	case *ast.SelectorExpr:
		if owner, isName := called.X.(*ast.Ident); isName && owner.Name == "say" {
			name = called.Sel.Name
		}
	case *ast.Ident:
		if in == "proof" {
			name = called.Name
		}
	}
	index, isMaker := makers[name]
	if !isMaker || index >= len(call.Args) {
		return nil, true
	}
	text, isText := constant(call.Args[index])
	if !isText {
		passed, isName := call.Args[index].(*ast.Ident)
		return nil, isName && passed.Name == "format"
	}
	found = []string{text}
	for _, value := range call.Args[index+1:] {
		if word, isWord := constant(value); isWord && !strings.HasPrefix(word, "--") {
			found = append(found, word)
		}
	}
	return found, true
}

func constant(from ast.Expr) (string, bool) {
	switch found := from.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(found.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, isLeft := constant(found.X)
		right, isRight := constant(found.Y)
		return left + right, isLeft && isRight
	}
	return "", false
}

func TestEveryTextIsTranslatedWithTheSameValues(t *testing.T) {
	all := texts(t)
	if len(all) < 80 {
		t.Fatalf("only %d texts were found", len(all))
	}
	for _, text := range all {
		translated, isKnown := say.Translation(text)
		if slices.Contains(same, text) {
			continue
		}
		if !isKnown {
			t.Errorf("no German for %q", text)
			continue
		}
		wanted, given := verbs.FindAllString(text, -1), verbs.FindAllString(translated, -1)
		if !strings.Contains(text, "%[") && !slices.Equal(wanted, given) {
			t.Errorf("%q has the values %v, its German %v", text, wanted, given)
		}
		slices.Sort(wanted)
		slices.Sort(given)
		if !slices.Equal(slices.Compact(wanted), slices.Compact(given)) {
			t.Errorf("%q has the values %v, its German %v", text, wanted, given)
		}
	}
	for _, text := range say.Translated() {
		if !slices.Contains(all, text) {
			t.Errorf("nobody says %q any more", text)
		}
	}
}

func TestTextsInTextsAreTranslatedToo(t *testing.T) {
	text := say.T("hbbs accepts %s", say.T("a wrong key"))
	if got := text.In(say.German); got != "hbbs nimmt einen falschen Schlüssel an" {
		t.Error(got)
	}
	if got := text.In(say.English); got != "hbbs accepts a wrong key" {
		t.Error(got)
	}
	if got := say.Of(say.Errorf("--lang takes de or en, not %s", "fr")).In(say.German); got != "--lang nimmt de oder en, nicht fr" {
		t.Error(got)
	}
}
