package source

import (
	"errors"
	"strings"
)

// variable is one setting of a git configuration file, see git-config(1).
type variable struct {
	name       string // section.key, in lower case; of subsections section.SUBSECTION.key
	value      string // without quotes, escapes and comments
	start, end int    // where it stands in the text, with its line's end
}

var errConfig = errors.New("its configuration cannot be understood")

// gitConfig is the text of a configuration file, and what it says.
type gitConfig struct {
	text      string
	variables []variable
}

// get returns the value of a setting, which is the last one that stands there, or "".
func (c gitConfig) get(name string) string {
	value := ""
	for _, v := range c.variables {
		if v.name == name {
			value = v.value
		}
	}
	return value
}

// without returns the text less some settings, and is otherwise as it was.
func (c gitConfig) without(names ...string) string {
	var rest strings.Builder
	from := 0
	for _, v := range c.variables {
		for _, name := range names {
			if v.name == name {
				rest.WriteString(c.text[from:v.start])
				from = v.end
				// The line goes on with nothing else, but began with a section.
				if v.start > 0 && c.text[v.start-1] == ']' {
					rest.WriteByte('\n')
				}
			}
		}
	}
	return rest.String() + c.text[from:]
}

// configReader goes through a configuration file once.
type configReader struct {
	text    string
	at      int
	section string // with a dot at the end
}

func parseConfig(text string) (gitConfig, error) {
	c := gitConfig{text: text}
	r := &configReader{text: text}
	r.at = len(text) - len(strings.TrimPrefix(text, "\ufeff"))
	for {
		start := r.blanks()
		switch b := r.peek(); {
		case r.at == len(text):
			return c, nil
		case b == '#' || b == ';':
			r.line()
		case b == '[':
			if !r.header() {
				return c, errConfig
			}
		case isLetter(b) && r.section != "":
			v, ok := r.variable(start)
			if !ok {
				return c, errConfig
			}
			c.variables = append(c.variables, v)
		default:
			return c, errConfig
		}
	}
}

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

func isKey(b byte) bool { return isLetter(b) || '0' <= b && b <= '9' || b == '-' }

func (r *configReader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

// blanks goes to the next thing and returns where its line, or what is left of it,
// begins.
func (r *configReader) blanks() int {
	start := r.at
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\n':
			start = r.at + 1
		case ' ', '\t', '\r', '\v', '\f':
		default:
			return start
		}
	}
	return start
}

// line goes behind the end of the line.
func (r *configReader) line() {
	if i := strings.IndexByte(r.text[r.at:], '\n'); i >= 0 {
		r.at += i + 1
		return
	}
	r.at = len(r.text)
}

// header reads [section], [section "subsection"] or the old [section.subsection].
func (r *configReader) header() bool {
	r.at++
	from := r.at
	for isKey(r.peek()) || r.peek() == '.' {
		r.at++
	}
	r.section = strings.ToLower(r.text[from:r.at]) + "."
	if r.at == from {
		return false
	}
	for r.peek() == ' ' || r.peek() == '\t' {
		r.at++
	}
	if r.peek() == '"' && !r.subsection() {
		return false
	}
	if r.peek() != ']' {
		return false
	}
	r.at++
	return true
}

func (r *configReader) subsection() bool {
	var name strings.Builder
	for r.at++; r.peek() != '"'; r.at++ {
		if r.peek() == '\\' {
			r.at++
		}
		if r.at >= len(r.text) || r.peek() == '\n' {
			return false
		}
		name.WriteByte(r.peek())
	}
	r.at++
	r.section += name.String() + "."
	return true
}

func (r *configReader) variable(start int) (variable, bool) {
	from := r.at
	for isKey(r.peek()) {
		r.at++
	}
	v := variable{name: r.section + strings.ToLower(r.text[from:r.at]), start: start}
	for r.peek() == ' ' || r.peek() == '\t' {
		r.at++
	}
	ok := true
	switch {
	case r.peek() == '=':
		r.at++
		v.value, ok = r.value()
	case r.at == len(r.text), strings.HasPrefix(strings.TrimLeft(r.text[r.at:], "\r"), "\n"):
		v.value = "true"
		r.line()
	default:
		ok = false
	}
	v.end = r.at
	return v, ok
}

// value reads up to the end of the line, or of the last one where lines end in a
// backslash.
func (r *configReader) value() (string, bool) {
	var value []byte
	solid := 0 // how much of it is not blank, or in quotes
	inQuotes := false
	for ; r.at < len(r.text); r.at++ {
		b := r.text[r.at]
		switch {
		case b == '\n' || !inQuotes && (b == '#' || b == ';'):
			r.line()
			return string(value[:solid]), !inQuotes
		case b == '"':
			inQuotes = !inQuotes
			solid = len(value)
			continue
		case b == '\\':
			c, ok := r.escape()
			if !ok {
				return "", false
			}
			value = append(value, c...)
			solid = len(value)
			continue
		case len(value) == 0 && !inQuotes && isBlank(b):
			continue
		}
		value = append(value, b)
		if inQuotes || !isBlank(b) {
			solid = len(value)
		}
	}
	return string(value[:solid]), !inQuotes
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' }

// escape reads what follows a backslash, up to its last byte.
func (r *configReader) escape() (string, bool) {
	r.at++
	if strings.HasPrefix(r.text[min(r.at, len(r.text)):], "\r\n") {
		r.at++
	}
	switch r.peek() {
	case '\n':
		return "", true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 'b':
		return "\b", true
	case '"', '\\':
		return string(r.peek()), true
	}
	return "", false
}
