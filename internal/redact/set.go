// Package redact takes the values of secrets out of text on its way to people, whatever
// pieces it comes in: each value, and the usual ways of writing one down, becomes
// api.RedactedText.
//
// It finds what is printed whole. It is no wall: a program that wants to show a secret
// spells it backwards, or one line of it at a time. Nothing is decoded, and nothing is
// known of terminals: a value with control sequences in its middle is not found.
package redact

import (
	"cmp"
	"slices"
	"strings"
)

// Lengths of values, in bytes.
const (
	MinLength  = 4 // shorter values are not looked for: they would be found everywhere
	WarnLength = 8 // shorter values are found in text that has nothing to do with them
)

// Set is the values to look for. It takes some 25 times the memory of the values. It is
// not changed once it is made, and may be used by several goroutines; the zero value
// finds nothing.
type Set struct {
	first   [256]bool                    // bytes that a form begins with
	pairs   [1 << 16 / 64]uint64         // a bit for each two of them
	heads   map[string]bool              // the first one to MinLength-1 bytes
	byHead  map[[MinLength]byte][]string // the longest first
	longest int
}

// New returns the set of values in all their forms.
func New(values ...string) *Set {
	s := &Set{heads: make(map[string]bool), byHead: make(map[[MinLength]byte][]string)}
	for _, value := range values {
		for _, form := range forms(value) {
			s.add(form)
		}
	}
	for head, list := range s.byHead {
		slices.SortFunc(list, func(a, b string) int {
			return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
		})
		s.byHead[head] = slices.Compact(list)
	}
	return s
}

func (s *Set) add(form string) {
	if len(form) < MinLength {
		return
	}
	s.first[form[0]] = true
	word, bit := pair(form[0], form[1])
	s.pairs[word] |= bit
	for n := 1; n < MinLength; n++ {
		s.heads[form[:n]] = true
	}
	head := [MinLength]byte([]byte(form[:MinLength]))
	s.byHead[head] = append(s.byHead[head], form)
	s.longest = max(s.longest, len(form))
}

// Empty reports whether there is nothing to look for.
func (s *Set) Empty() bool { return s == nil || s.longest == 0 }

// Replace returns text without the values.
func (s *Set) Replace(text string) string {
	if s.Empty() {
		return text
	}
	stream := NewStream(s)
	return string(stream.Flush(stream.Append(nil, []byte(text))))
}

func pair(a, b byte) (word int, bit uint64) {
	n := int(a)<<8 | int(b)
	return n / 64, 1 << (n % 64)
}

// mayBegin reports whether it is worth the while to look closer at b, which is not empty.
func (s *Set) mayBegin(b []byte) bool {
	if len(b) == 1 {
		return s.first[b[0]]
	}
	word, bit := pair(b[0], b[1])
	return s.pairs[word]&bit != 0
}

// at looks at what b begins with: the length of the longest form that is there, or 0,
// and whether a longer one may be there when b goes on.
func (s *Set) at(b []byte) (n int, more bool) {
	if len(b) < MinLength {
		return 0, s.heads[string(b)]
	}
	for _, form := range s.byHead[[MinLength]byte(b)] {
		switch {
		case len(form) > len(b):
			more = more || form[:len(b)] == string(b)
		case form == string(b[:len(form)]):
			return len(form), more
		}
	}
	return 0, more
}
