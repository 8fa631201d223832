// Package toml reads TOML 1.0 and changes single values of a file, every other byte of it kept.
//
// RustDesk keeps its settings in TOML, and people edit them too. What a change does to a file is the same as in
// plugins/module_utils/toml_merge.py; tests/vectors/toml_merge.json holds both to it.
package toml

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// BOM is the byte order mark that some editors put first.
const BOM = "\ufeff"

// Error says why a file cannot be read or changed, without any of its values.
type Error struct {
	// Line is where the file stops being TOML, 0 where there is no such place.
	Line int
	// Unsafe tells that the file is TOML, but written in a way that cannot be changed safely.
	Unsafe bool
}

func (e *Error) Error() string {
	switch {
	case e.Unsafe:
		return "is written in a way that cannot be changed safely"
	case e.Line > 0:
		return fmt.Sprintf("is not TOML (line %d)", e.Line)
	}
	return "is not TOML"
}

var errUnsafe = &Error{Unsafe: true}

// Raw is a value that is no string, as it is written: a number, a date, true or false.
type Raw string

// Values are the contents of a table: string, Raw, Values or []any by key.
type Values map[string]any

// Parse returns the values of a file.
func Parse(text string) (Values, error) {
	document, err := parse(strings.TrimPrefix(text, BOM))
	if err != nil {
		return nil, err
	}
	return document.root.values(), nil
}

// Strings returns the values of a table as RustDesk sees them: none when a single one is no string (hbb_common
// src/config.rs, deserialize_hashmap_string_string). Names are those of values that are no strings.
func Strings(values Values, table string) (found map[string]string, wrong []string) {
	found = map[string]string{}
	inside, _ := values[table].(Values)
	for key, value := range inside {
		if text, isString := value.(string); isString {
			found[key] = text
		} else {
			wrong = append(wrong, key)
		}
	}
	if len(wrong) > 0 {
		return map[string]string{}, wrong
	}
	return found, nil
}

// Setting is a key and the value that it is to have, nil for none.
type Setting struct {
	Key   string
	Value *string
}

// Merge returns the text with the settings in a table of its top level. What has its value already stays as it is written.
func Merge(text, table string, settings []Setting) (string, error) {
	body, hasMark := strings.CutPrefix(text, BOM)
	if _, err := parse(body); err != nil {
		return "", err
	}
	for _, setting := range settings {
		changed, err := withValue(body, table, setting)
		if err != nil {
			return "", err
		}
		body = changed
	}
	if hasMark {
		return BOM + body, nil
	}
	return body, nil
}

// HasTable tells whether a table is written in the text; one that only other tables lie in, such as [table.other], is not.
func HasTable(text, table string) (bool, error) {
	document, err := parse(strings.TrimPrefix(text, BOM))
	if err != nil {
		return false, err
	}
	return document.isWritten(table), nil
}

// WithoutHeader returns the text without the header of a table that has no key left, nor the one blank line before it.
func WithoutHeader(text, table string) (string, error) {
	body, hasMark := strings.CutPrefix(text, BOM)
	document, err := parse(body)
	if err != nil {
		return "", err
	}
	expected := document.root.values()
	if inside, isTable := expected[table].(Values); isTable && len(inside) == 0 {
		delete(expected, table)
	}
	start, end, found := document.bareHeader(table)
	if !found {
		return text, nil
	}
	rest := body[:start] + body[end:]
	if end == len(body) && !strings.HasSuffix(body, "\n") {
		rest = withoutLineEnd(rest)
	}
	if checked(rest, expected) != nil {
		return text, nil
	}
	if hasMark {
		return BOM + rest, nil
	}
	return rest, nil
}

func withValue(body, table string, setting Setting) (string, error) {
	document, err := parse(body)
	if err != nil {
		return "", err
	}
	expected := document.root.values()
	inside, isTable := expected[table].(Values)
	if _, exists := expected[table]; exists && !isTable {
		return "", errUnsafe
	}
	current, exists := inside[setting.Key]
	switch {
	case setting.Value == nil && !exists, setting.Value != nil && exists && current == any(*setting.Value):
		return body, nil
	case setting.Value == nil:
		delete(inside, setting.Key)
	case isTable:
		inside[setting.Key] = *setting.Value
	default:
		expected[table] = Values{setting.Key: *setting.Value}
	}
	changed, err := document.change(table, setting, exists)
	if err != nil {
		return "", err
	}
	return changed, checked(changed, expected)
}

// checked refuses a text that does not say what it should: the file stays as it is then.
func checked(text string, expected Values) error {
	document, err := parse(text)
	if err != nil || !reflect.DeepEqual(document.root.values(), expected) {
		return errUnsafe
	}
	return nil
}

func lineEnd(body string) string {
	if first := strings.IndexByte(body, '\n'); first > 0 && body[first-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

func withoutLineEnd(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}

// quoted returns a value as a string of one line, as RustDesk writes it: in single quotes wherever TOML allows them.
func quoted(value string) string {
	if !strings.ContainsFunc(value, func(r rune) bool { return r == '\'' || r == 0x7f || r < 0x20 && r != '\t' }) {
		return "'" + value + "'"
	}
	return basicString(value)
}

func basicString(value string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range value {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case strings.ContainsRune("\b\t\n\f\r", r):
			out.WriteByte('\\')
			out.WriteByte("btn?fr"[r-'\b'])
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&out, "\\u%04x", r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

func written(key string) string {
	if key != "" && !strings.ContainsFunc(key, func(r rune) bool { return r >= utf8.RuneSelf || !isBare(byte(r)) }) {
		return key
	}
	return basicString(key)
}
