package toml

import "strings"

// isWritten tells whether a table stands in the file as such: under a header of its own, in one line, or in dotted keys.
func (d *document) isWritten(name string) bool {
	found, isTable := d.root.entries[name].(*table)
	return isTable && found.kind != implicit
}

// bareHeader returns where the header of a table stands that has a line without a comment to itself, with the blank line before.
func (d *document) bareHeader(name string) (start, end int, found bool) {
	for _, section := range d.sections {
		if section.isArray || len(section.path) != 1 || section.path[0] != name || section.spelling != written(name) {
			continue
		}
		if section.hasComment {
			return 0, 0, false
		}
		start, end = section.start, section.end
		if above := strings.TrimSuffix(d.text[:start], "\n"); len(above) < start {
			above = strings.TrimSuffix(above, "\r")
			if above == "" || strings.HasSuffix(above, "\n") {
				start = len(above)
			}
		}
		return start, end, true
	}
	return 0, 0, false
}

// change writes, replaces or takes out a value of a table of the top level.
func (d *document) change(name string, setting Setting, exists bool) (string, error) {
	found, _ := d.root.entries[name].(*table)
	switch {
	case setting.Value == nil:
		return d.without(found, setting.Key)
	case exists:
		place, hasPlace := found.places[setting.Key]
		if !hasPlace {
			return "", errUnsafe
		}
		return d.text[:place.value] + quoted(*setting.Value) + d.text[place.end:], nil
	}
	return d.with(found, name, setting.Key, *setting.Value)
}

// with adds a key: after the last one of its table, in a table of its own at the end where there is none.
func (d *document) with(found *table, name, key, value string) (string, error) {
	end := lineEnd(d.text)
	isOpen := d.text != "" && !strings.HasSuffix(d.text, "\n")
	body := d.text
	if isOpen {
		body += end
	}
	var result string
	line := written(key) + " = " + quoted(value)
	switch {
	case !d.isWritten(name):
		// Always one blank line, also after another one: so it is known to be ours when the table goes again.
		gap := end
		if body == "" {
			gap = ""
		}
		result = body + gap + "[" + written(name) + "]" + end + line + end
	case found.kind == inline:
		result = d.withInline(found, name, line) + body[len(d.text):]
	case found.kind == headed:
		section := d.sections[found.section]
		at := min(section.insert, len(body))
		if at == len(d.text) {
			at = len(body)
		}
		result = body[:at] + section.indent + line + end + body[at:]
	default:
		return "", errUnsafe
	}
	if isOpen {
		result = strings.TrimSuffix(result, end)
	}
	return result, nil
}

// withInline adds to { a = 'x' } behind the last value: as far from it as the closing brace is, and what its line is indented.
func (d *document) withInline(found *table, name, line string) string {
	key := d.root.places[name].key
	indent := indentOf(d.text[d.lineStart(key):key])
	if found.pairs == 0 {
		at := found.start + 1 + blanksAt(d.text[found.start+1:])
		return d.text[:at] + indent + line + d.text[at:]
	}
	gap := d.text[found.last:found.last+blanksAt(d.text[found.last:])] + indent
	if gap == "" && found.pairs > 1 {
		gap = " "
	}
	return d.text[:found.last] + "," + gap + line + d.text[found.last:]
}

// indentOf returns how much lines are indented that are added where one begins like this: by its first blanks, never by tabs.
func indentOf(beginning string) string {
	found := strings.TrimLeft(beginning, "\t")
	if cut := strings.IndexByte(found, '\t'); cut >= 0 {
		return found[:cut]
	}
	return found
}

func blanksAt(text string) int { return len(text) - len(strings.TrimLeft(text, " \t")) }

// without cuts out the lines of a key; in an inline table, the key and what separates it.
func (d *document) without(found *table, key string) (string, error) {
	place, hasPlace := found.places[key]
	if !hasPlace {
		return "", errUnsafe
	}
	if found.kind == inline {
		return d.withoutInline(place, key), nil
	}
	start, end := d.lineStart(place.key), d.lineAfter(place.end)
	result := d.text[:start] + d.text[end:]
	if end == len(d.text) && !strings.HasSuffix(d.text, "\n") {
		// The key stood in a last line without an end: now the line before has none.
		result = withoutLineEnd(result)
	}
	return result, nil
}

// withoutInline takes a key out of braces: all of it where it is written as it would be added, else itself and one comma.
func (d *document) withoutInline(place place, key string) string {
	before, after := d.text[:place.key], d.text[place.end:]
	if above, isUsual := strings.CutSuffix(before, ", "); isUsual && d.text[place.key:place.value] == written(key)+" = " {
		return above + after
	}
	if blanks := blanksAt(after); strings.HasPrefix(after[blanks:], ",") {
		return before + after[:blanks] + after[blanks+1:]
	}
	above := strings.TrimRight(before, " \t")
	if cut, hasComma := strings.CutSuffix(above, ","); hasComma {
		return cut + before[len(above):] + after
	}
	return before + after
}

func (d *document) lineStart(at int) int {
	return strings.LastIndexByte(d.text[:at], '\n') + 1
}

func (d *document) lineAfter(at int) int {
	if next := strings.IndexByte(d.text[at:], '\n'); next >= 0 {
		return at + next + 1
	}
	return len(d.text)
}
