package source

import "strings"

// byteSet is a set of bytes.
type byteSet = [4]uint64

func insert(set *byteSet, low, high byte) {
	for b := int(low); b <= int(high); b++ {
		set[b/64] |= 1 << (b % 64)
	}
}

func only(b byte) *byteSet {
	set := new(byteSet)
	insert(set, b, b)
	return set
}

func allBut(b byte) *byteSet {
	set := only(b)
	for i := range set {
		set[i] = ^set[i]
	}
	return set
}

// classes are the ranges of bytes behind names such as [:digit:], in the C locale.
var classes = map[string]string{
	"alnum":  "09AZaz",
	"alpha":  "AZaz",
	"blank":  "  \t\t",
	"cntrl":  "\x00\x1f\x7f\x7f",
	"digit":  "09",
	"graph":  "!~",
	"lower":  "az",
	"print":  " ~",
	"punct":  "!/:@[`{~",
	"space":  "  \t\r",
	"upper":  "AZ",
	"xdigit": "09AFaf",
}

// bracket reads a set in brackets.
type bracket struct {
	text string
	at   int
	set  byteSet
	low  byte // what a range may begin with; 0: nothing
}

// parseSet reads the set that stands in brackets, from the byte after the first of
// them, and returns where the pattern goes on, or -1 if the set does not end or names
// a class that there is not. A slash is in no set.
func parseSet(text string, at int) (*byteSet, int) {
	b := bracket{text: text, at: at}
	negated := b.peek() == '!' || b.peek() == '^'
	if negated {
		b.at++
	}
	for first := true; first || b.peek() != ']'; first = false {
		if !b.item() {
			return nil, -1
		}
	}
	if negated {
		for i := range b.set {
			b.set[i] = ^b.set[i]
		}
	}
	b.set['/'/64] &^= 1 << ('/' % 64)
	return &b.set, b.at + 1
}

// peek returns the byte that comes, or 0 at the end.
func (b *bracket) peek() byte {
	if b.at < len(b.text) {
		return b.text[b.at]
	}
	return 0
}

// item reads one byte, range or class; false: there is none.
func (b *bracket) item() bool {
	rest := b.text[min(b.at, len(b.text)):]
	switch {
	case rest == "":
		return false
	case strings.HasPrefix(rest, "[:"):
		return b.class(rest)
	case b.low != 0 && rest[0] == '-' && len(rest) > 1 && rest[1] != ']':
		b.at++
		high, ok := b.char()
		if ok && b.low <= high {
			insert(&b.set, b.low, high)
		}
		b.low = 0
		return ok
	}
	c, ok := b.char()
	if ok {
		insert(&b.set, c, c)
		b.low = c
	}
	return ok
}

// char reads one byte, which a backslash may protect.
func (b *bracket) char() (byte, bool) {
	if b.peek() == '\\' {
		b.at++
	}
	c := b.peek()
	b.at++
	return c, c != 0
}

// class reads a class such as [:digit:] at the beginning of rest, or just the bracket
// where none ends there.
func (b *bracket) class(rest string) bool {
	end := strings.IndexByte(rest[2:], ']')
	if end < 0 {
		return false
	}
	name, ok := strings.CutSuffix(rest[2:2+end], ":")
	if !ok {
		insert(&b.set, '[', '[')
		b.low = '['
		b.at++
		return true
	}
	ranges, known := classes[name]
	for i := 0; i < len(ranges); i += 2 {
		insert(&b.set, ranges[i], ranges[i+1])
	}
	b.low = 0
	b.at += len("[:") + end + 1
	return known
}
