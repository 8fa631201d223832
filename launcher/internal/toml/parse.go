package toml

import (
	"strings"
	"unicode/utf8"
)

// How a table came to be, which decides what may be added to it.
type kind int

const (
	implicit kind = iota // by the header of a table in it
	headed               // by its own header
	dotted               // by dotted keys
	inline               // in braces, complete
)

// place is where a key and its value stand.
type place struct{ key, value, end int }

type table struct {
	kind    kind
	entries map[string]any // string, Raw, []any, *table or *tables
	places  map[string]place
	section int // of the header

	// Of a table in braces: where it opens, how many keys it has, and where the last one's value ends.
	start, pairs, last int
}

// tables is an array of tables: [[name]].
type tables struct{ elements []*table }

// section is a header and the lines up to the next one.
type section struct {
	path       []string
	spelling   string // what stands in the brackets
	isArray    bool
	hasComment bool
	indent     string // of its lines, as its header has it
	start, end int    // of the header's line
	insert     int    // where a new key goes: behind the last key or comment
}

type document struct {
	text     string
	root     *table
	sections []*section
}

func newTable(kind kind) *table {
	return &table{kind: kind, entries: map[string]any{}, places: map[string]place{}}
}

func (t *table) values() Values {
	out := Values{}
	for key, entry := range t.entries {
		out[key] = plain(entry)
	}
	return out
}

func plain(entry any) any {
	switch found := entry.(type) {
	case *table:
		return found.values()
	case *tables:
		out := []any{}
		for _, element := range found.elements {
			out = append(out, element.values())
		}
		return out
	case []any:
		out := []any{}
		for _, item := range found {
			out = append(out, plain(item))
		}
		return out
	}
	return entry
}

// maxDepth bounds how deep values may be nested: more is nobody's settings.
const maxDepth = 100

// parser reads a text from its beginning to its end. It panics with stop where that is not TOML; parse turns it into an error.
type parser struct {
	document
	at    int
	depth int
	// opened are tables that dotted keys of this section went through: the next section must not open them again.
	opened []*table
	closed map[*table]bool
}

type stop struct{}

func parse(text string) (found *document, err error) {
	p := &parser{document: document{text: text, root: newTable(headed)}, closed: map[*table]bool{}}
	defer func() {
		if problem := recover(); problem != nil {
			if _, isOurs := problem.(stop); !isOurs {
				panic(problem)
			}
			found, err = nil, &Error{Line: 1 + strings.Count(text[:min(p.at, len(text))], "\n")}
		}
	}()
	if !utf8.ValidString(text) {
		p.at = len(strings.ToValidUTF8(text[:firstInvalid(text)], ""))
		panic(stop{})
	}
	p.document.read(p)
	return &p.document, nil
}

func firstInvalid(text string) int {
	for index, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[index:]); size == 1 {
				return index
			}
		}
	}
	return len(text)
}

func (p *parser) fail() { panic(stop{}) }

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) ends() bool { return p.at >= len(p.text) }

func (p *parser) has(prefix string) bool { return strings.HasPrefix(p.text[p.at:], prefix) }

func (p *parser) expect(prefix string) {
	if !p.has(prefix) {
		p.fail()
	}
	p.at += len(prefix)
}

func (p *parser) blanks() {
	for p.peek() == ' ' || p.peek() == '\t' {
		p.at++
	}
}

// newline returns how long the line end is that stands here, 0 for none.
func (p *parser) newline() int {
	switch {
	case p.has("\n"):
		return 1
	case p.has("\r\n"):
		return 2
	}
	return 0
}

func (p *parser) comment() bool {
	if p.peek() != '#' {
		return false
	}
	for p.newline() == 0 && !p.ends() {
		if isControl(p.peek()) {
			p.fail()
		}
		p.at++
	}
	return true
}

// isControl tells whether a byte is a control character that stands nowhere in TOML but where it is said.
func isControl(c byte) bool { return c < 0x20 && c != '\t' || c == 0x7f }

func isBare(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// read reads the whole text, one statement at a time.
func (d *document) read(p *parser) {
	current, here := d.root, (*section)(nil)
	for !p.ends() {
		line := p.at
		p.blanks()
		isStatement := true
		switch {
		case p.ends() || p.newline() > 0:
			isStatement = false
		case p.peek() == '#':
		case p.peek() == '[':
			for _, passed := range p.opened {
				p.closed[passed] = true
			}
			p.opened = nil
			current, here = p.header(line)
		default:
			p.pair(current)
		}
		p.blanks()
		hasComment := p.comment()
		size := p.newline()
		if size == 0 && !p.ends() {
			p.fail()
		}
		p.at += size
		if here == nil || !isStatement {
			continue
		}
		if here.end == 0 {
			here.end, here.hasComment = p.at, hasComment
		}
		here.insert = p.at
	}
}

func (p *parser) header(line int) (*table, *section) {
	found := &section{start: line, indent: indentOf(p.text[line:p.at])}
	found.isArray = p.has("[[")
	brackets := 1
	if found.isArray {
		brackets = 2
	}
	p.at += brackets
	p.blanks()
	start := p.at
	found.path = p.key()
	found.spelling = strings.TrimRight(p.text[start:p.at], " \t")
	p.expect("]]"[:brackets])
	p.sections = append(p.sections, found)

	above := p.root
	last := len(found.path) - 1
	for _, name := range found.path[:last] {
		above = p.into(above, name)
	}
	name := found.path[last]
	if found.isArray {
		return p.element(above, name), found
	}
	opened, isTable := above.entries[name].(*table)
	switch {
	case above.entries[name] == nil:
		opened = newTable(headed)
		above.entries[name] = opened
	case !isTable || opened.kind == headed || opened.kind == inline || p.closed[opened]:
		p.fail()
	}
	opened.kind, opened.section = headed, len(p.sections)-1
	return opened, found
}

// into goes one step down the path of a header.
func (p *parser) into(above *table, name string) *table {
	switch found := above.entries[name].(type) {
	case nil:
		made := newTable(implicit)
		above.entries[name] = made
		return made
	case *table:
		if found.kind != inline {
			return found
		}
	case *tables:
		return found.elements[len(found.elements)-1]
	}
	p.fail()
	return nil
}

func (p *parser) element(above *table, name string) *table {
	made := newTable(headed)
	switch found := above.entries[name].(type) {
	case nil:
		above.entries[name] = &tables{elements: []*table{made}}
	case *tables:
		found.elements = append(found.elements, made)
	default:
		p.fail()
	}
	return made
}

// pair reads a key and its value into a table.
func (p *parser) pair(into *table) {
	start := p.at
	path := p.key()
	p.expect("=")
	p.blanks()
	begin := p.at
	value := p.value()
	for _, name := range path[:len(path)-1] {
		into = p.through(into, name)
	}
	name := path[len(path)-1]
	if _, exists := into.entries[name]; exists {
		p.fail()
	}
	into.entries[name] = value
	into.places[name] = place{start, begin, p.at}
}

// through goes one step down a dotted key: only into what dotted keys have made, or nothing but headers below it.
func (p *parser) through(above *table, name string) *table {
	found, isTable := above.entries[name].(*table)
	switch {
	case above.entries[name] == nil:
		found = newTable(dotted)
		above.entries[name] = found
	case !isTable || found.kind == headed || found.kind == inline || p.closed[found]:
		p.fail()
	}
	p.opened = append(p.opened, found)
	return found
}

// key reads a key with its dots, and the blanks behind it.
func (p *parser) key() []string {
	path := []string{p.keyPart()}
	p.blanks()
	for p.peek() == '.' {
		p.at++
		p.blanks()
		path = append(path, p.keyPart())
		p.blanks()
	}
	return path
}

func (p *parser) keyPart() string {
	start := p.at
	switch {
	case p.peek() == '\'':
		return p.literalLine()
	case p.peek() == '"':
		return p.basicLine()
	}
	for isBare(p.peek()) {
		p.at++
	}
	if p.at == start {
		p.fail()
	}
	return p.text[start:p.at]
}

func (p *parser) value() any {
	p.depth++
	if p.depth > maxDepth {
		p.fail()
	}
	defer func() { p.depth-- }()
	switch {
	case p.has(`"""`):
		return p.basicLines()
	case p.has(`'''`):
		return p.literalLines()
	case p.peek() == '"':
		return p.basicLine()
	case p.peek() == '\'':
		return p.literalLine()
	case p.peek() == '[':
		return p.array()
	case p.peek() == '{':
		return p.braces()
	}
	size := rawLength(p.text[p.at:])
	if size == 0 {
		p.fail()
	}
	p.at += size
	return Raw(p.text[p.at-size : p.at])
}

func (p *parser) array() []any {
	p.at++
	items := []any{}
	for {
		p.gap()
		if p.peek() == ']' {
			p.at++
			return items
		}
		items = append(items, p.value())
		p.gap()
		if p.peek() != ']' {
			p.expect(",")
		}
	}
}

// gap skips what may stand between the items of an array.
func (p *parser) gap() {
	for {
		before := p.at
		p.blanks()
		p.comment()
		p.at += p.newline()
		if p.at == before {
			return
		}
	}
}

func (p *parser) braces() *table {
	found := newTable(inline)
	found.start = p.at
	p.at++
	p.blanks()
	if p.peek() == '}' {
		p.at++
		return found
	}
	outside := p.opened
	for {
		p.pair(found)
		found.pairs, found.last = found.pairs+1, p.at
		p.blanks()
		if p.peek() == '}' {
			p.at++
			p.opened = outside
			return found
		}
		p.expect(",")
		p.blanks()
	}
}
