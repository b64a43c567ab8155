package archive

import (
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
	NamesPortable = Names{fresh: func() nameJudge { return newPortable(true, true).judge }}
	// NamesDistinct takes names as bytes, but for two in one archive that some file
	// system takes for one (ErrCollides) and what is ".git" to some without being spelled
	// so (ErrName). Parts that are not UTF-8 are compared by their bytes.
	NamesDistinct = Names{fresh: func() nameJudge { return newPortable(false, true).judge }}
	// NamesNoAlias is NamesDistinct without the comparison.
	NamesNoAlias = Names{fresh: func() nameJudge { return newPortable(false, false).judge }}
)

// ErrCollides is an ErrName: two names of one archive that some file system takes for
// one. It is told with the second; which other one it meets is not held.
var ErrCollides = fmt.Errorf("%w: some file systems take it for another name of this archive", ErrName)

// portable remembers by which bytes each folded path was spelled first.
type portable struct {
	text     bool // names are for readers, so they are UTF-8 without control characters
	distinct bool

	names   nameSet
	spelled map[nameHash]nameHash
	parent  string // of the last name, already judged
}

func newPortable(text, distinct bool) *portable {
	return &portable{text: text, distinct: distinct, names: newNameSet(), spelled: make(map[nameHash]nameHash)}
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
	switch {
	case p.text && !utf8.ValidString(part):
		return fmt.Errorf("%w: it is not UTF-8", ErrName)
	case p.text && strings.ContainsFunc(part, disturbs):
		return fmt.Errorf("%w: it holds control characters", ErrName)
	case part != ".git" && gitAlias(part):
		return fmt.Errorf("%w: some file systems take it for .git", ErrName)
	case !p.distinct:
		return nil
	}
	key, spelling := p.names.hash(foldPath(path)), p.names.hash(path)
	if first, met := p.spelled[key]; met && first != spelling {
		return ErrCollides
	}
	p.spelled[key] = spelling
	return nil
}

// gitAlias knows what some file system takes for .git: NTFS its short name, and with
// blanks, dots or the name of a stream behind it.
func gitAlias(part string) bool {
	folded := foldPath(part)
	if cut := strings.IndexAny(folded, ":\\"); cut >= 0 {
		folded = folded[:cut]
	}
	folded = strings.TrimRight(folded, ". ")
	return folded == ".git" || folded == "git~1"
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

// foldPath folds each part of a path. One that is not UTF-8 stays as it is, as on the
// file systems that fold.
func foldPath(path string) string {
	if utf8.ValidString(path) {
		return fold(path)
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if utf8.ValidString(part) {
			parts[i] = fold(part)
		}
	}
	return strings.Join(parts, "/")
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
