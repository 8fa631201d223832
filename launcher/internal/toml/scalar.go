package toml

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const clock = `(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?`

var (
	dateTime = regexp.MustCompile(`^([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))` +
		`(?:[Tt ]` + clock + `(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?`)
	scalars = []*regexp.Regexp{
		regexp.MustCompile(`^(?:true|false)`),
		regexp.MustCompile(`^` + clock),
		regexp.MustCompile(`^0(?:x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*|b[01](?:_?[01])*|o[0-7](?:_?[0-7])*)`),
		regexp.MustCompile(`^[+-]?(?:0|[1-9](?:_?[0-9])*)(?:\.[0-9](?:_?[0-9])*)?(?:[eE][+-]?[0-9](?:_?[0-9])*)?`),
		regexp.MustCompile(`^[+-]?(?:inf|nan)`),
	}
)

// rawLength returns how many bytes the date, number or truth value has that the text begins with, 0 for none.
func rawLength(text string) int {
	// None is longer; the expressions must not run through a whole file.
	text = text[:min(len(text), 1024)]
	if match := dateTime.FindStringSubmatch(text); match != nil {
		day, err := time.Parse(time.DateOnly, match[1])
		if err != nil || day.Year() < 1 {
			return 0
		}
		return len(match[0])
	}
	for _, scalar := range scalars {
		if match := scalar.FindString(text); match != "" {
			return len(match)
		}
	}
	return 0
}

func (p *parser) literalLine() string {
	p.at++
	start := p.at
	for p.peek() != '\'' {
		if p.ends() || isControl(p.peek()) {
			p.fail()
		}
		p.at++
	}
	p.at++
	return p.text[start : p.at-1]
}

func (p *parser) basicLine() string {
	p.at++
	var out strings.Builder
	for p.peek() != '"' {
		switch {
		case p.ends() || isControl(p.peek()):
			p.fail()
		case p.peek() == '\\':
			p.at++
			out.WriteString(p.escape())
		default:
			out.WriteByte(p.peek())
			p.at++
		}
	}
	p.at++
	return out.String()
}

// escape reads what follows a backslash.
func (p *parser) escape() string {
	const letters, meanings = `btnfr"\`, "\b\t\n\f\r\"\\"
	c := p.peek()
	if p.ends() {
		p.fail()
	}
	p.at++
	if index := strings.IndexByte(letters, c); index >= 0 {
		return meanings[index : index+1]
	}
	digits := map[byte]int{'u': 4, 'U': 8}[c]
	if digits == 0 || p.at+digits > len(p.text) {
		p.fail()
	}
	number, err := strconv.ParseUint(p.text[p.at:p.at+digits], 16, 32)
	if err != nil || number > utf8.MaxRune || !utf8.ValidRune(rune(number)) {
		p.fail()
	}
	p.at += digits
	return string(rune(number))
}

// literalLines and basicLines read strings in three quotes; a line end right behind the opening does not count.
func (p *parser) literalLines() string {
	return p.lines(`'''`, func() (string, bool) { return "", false })
}

func (p *parser) basicLines() string {
	return p.lines(`"""`, func() (string, bool) {
		if p.peek() != '\\' {
			return "", false
		}
		p.at++
		// A backslash at the end of a line takes the line end and the blanks of the next ones with it.
		before := p.at
		p.blanks()
		if p.newline() > 0 {
			for {
				begin := p.at
				p.blanks()
				p.at += p.newline()
				if p.at == begin {
					return "", true
				}
			}
		}
		p.at = before
		return p.escape(), true
	})
}

func (p *parser) lines(quotes string, special func() (string, bool)) string {
	p.at += len(quotes)
	p.at += p.newline()
	var out strings.Builder
	for !p.has(quotes) {
		if text, isSpecial := special(); isSpecial {
			out.WriteString(text)
			continue
		}
		if size := p.newline(); size > 0 {
			out.WriteByte('\n')
			p.at += size
			continue
		}
		if p.ends() || isControl(p.peek()) {
			p.fail()
		}
		out.WriteByte(p.peek())
		p.at++
	}
	p.at += len(quotes)
	// Up to two quotes may stand right before the closing ones.
	for range 2 {
		if p.peek() == quotes[0] {
			out.WriteByte(quotes[0])
			p.at++
		}
	}
	return out.String()
}
