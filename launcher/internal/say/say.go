// Package say holds what the launchers tell people, in English and German.
//
// A text is written in English where it is used; its German form stands in german.go under the English one. A test finds
// every text in the source and asks for its translation.
package say

import (
	"errors"
	"fmt"
)

// Language of a text.
type Language string

// What the launchers speak.
const (
	English Language = "en"
	German  Language = "de"
)

// Text is a sentence with the values in it, in no language yet.
type Text struct {
	Format string
	Args   []any
}

// T makes a text of an English format of fmt.
func T(format string, args ...any) Text { return Text{format, args} }

// In returns the text in a language. Values that are texts themselves, or errors that carry one, are translated too.
func (t Text) In(language Language) string {
	format := t.Format
	if language == German {
		if translated, isKnown := german[format]; isKnown {
			format = translated
		}
	}
	args := make([]any, len(t.Args))
	for index, arg := range t.Args {
		args[index] = arg
		switch found := arg.(type) {
		case Text:
			args[index] = found.In(language)
		case error:
			args[index] = Of(found).In(language)
		}
	}
	return fmt.Sprintf(format, args...)
}

// IsEmpty tells whether there is nothing to say.
func (t Text) IsEmpty() bool { return t.Format == "" }

// Error is a text that ends what is being done.
type Error struct{ Text }

func (e *Error) Error() string { return e.In(English) }

// Errorf makes an error of a text.
func Errorf(format string, args ...any) error { return &Error{T(format, args...)} }

// Of returns the text of an error, in its own words where it has no text of ours.
func Of(err error) Text {
	var ours *Error
	if errors.As(err, &ours) {
		return ours.Text
	}
	return Text{"%s", []any{err.Error()}}
}
