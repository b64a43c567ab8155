package archive

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Names says which names of members are taken.
type Names struct{ fresh func() nameJudge }

// nameJudge looks at the names of one archive, clean and in order.
type nameJudge func(name string) error

// Which names are taken.
var (
	// NamesBytes takes any that the kernel takes: names are bytes.
	NamesBytes = Names{}
	// NamesPortable takes what means the same to every file system and to a reader.
	// It refuses, with ErrName, names that are not UTF-8; control characters and those
	// that turn the direction of text; two names in one archive that some file system
	// takes for one (they differ in case, in Unicode form or in characters that HFS+
	// ignores); and whatever is ".git" to such a file system without being spelled
	// so. What is odd to a shell or to Windows ("-rf", "con", "a:b") is taken.
	NamesPortable = Names{fresh: func() nameJudge {
		return (&portable{names: newNameSet(), spelled: make(map[nameHash]nameHash)}).judge
	}}
)

// errCollides is told with the name; which other one it meets is not held.
var errCollides = errors.New("some file systems take it for another name of this archive")

// portable remembers by which bytes each folded path was spelled first.
type portable struct {
	names   nameSet
	spelled map[nameHash]nameHash
	parent  string // of the last name, already judged
}

func (p *portable) judge(name string) error {
	if parent := parentOf(name); parent != p.parent {
		for above := range parents(name) {
			if err := p.one(above); err != nil {
				return err
			}
		}
		p.parent = parent
	}
	return p.one(name)
}

// one judges the last part of a path, and the whole of it for collisions.
func (p *portable) one(path string) error {
	part := path[strings.LastIndexByte(path, '/')+1:]
	if !utf8.ValidString(part) {
		return fmt.Errorf("%w: it is not UTF-8", ErrName)
	}
	if strings.ContainsFunc(part, disturbs) {
		return fmt.Errorf("%w: it holds control characters", ErrName)
	}
	folded := fold(path)
	if last := folded[strings.LastIndexByte(folded, '/')+1:]; part != ".git" && (last == ".git" || last == "git~1") {
		return fmt.Errorf("%w: some file systems take it for .git", ErrName)
	}
	key, spelling := p.names.hash(folded), p.names.hash(path)
	if first, met := p.spelled[key]; met && first != spelling {
		return fmt.Errorf("%w: %w", ErrName, errCollides)
	}
	p.spelled[key] = spelling
	return nil
}

// disturbs knows what changes how a line is shown: control characters, line and
// paragraph separators, and the marks of the bidirectional algorithm that override,
// embed or isolate (Unicode Standard Annex 9, table 3).
func disturbs(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// ignoredByHFS are the characters that HFS+ leaves out of a comparison (Apple
// Technical Note 1150, "Unicode Subtleties").
func ignoredByHFS(r rune) bool {
	return r >= '\u200c' && r <= '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u206a' && r <= '\u206f' || r == '\ufeff'
}

// fold gives the same bytes for names that some file system takes for one: case
// folded rune by rune, letters and their accents apart, what HFS+ ignores left out.
func fold(name string) string {
	if !isASCII(name) {
		name = norm.NFD.String(strings.Map(foldRune, norm.NFD.String(name)))
	}
	return strings.ToLower(name)
}

// foldRune returns the least of the runes that differ in case only, or less than 0.
func foldRune(r rune) rune {
	if ignoredByHFS(r) {
		return -1
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	return least
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
