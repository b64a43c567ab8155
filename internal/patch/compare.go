package patch

import (
	"bytes"
	"unicode/utf8"
)

// MaxText is the largest content, in bytes, that is compared line by line. What is larger
// is written as binary, which needs no memory of that size.
const MaxText = 16 << 20

// Status says what became of a name. The words are those of the contract's diff.
type Status string

// What can become of a name.
const (
	Unchanged   Status = ""
	Added       Status = "added"
	Modified    Status = "modified"
	Deleted     Status = "deleted"
	TypeChanged Status = "type_changed"
)

// Maker compares pairs. It counts the work of all of them: when that gets more than a
// tree of ordinary files needs, it looks for fewer common lines, and patches get longer,
// never wrong. The zero Maker is ready; it serves one goroutine.
type Maker struct{ spent int64 }

// Delta is the difference of one pair. It holds the contents that were compared.
type Delta struct {
	Name     string
	Status   Status
	Old, New Side
	// Binary tells that there are no lines to show: content that is not UTF-8, has NUL or
	// is larger than MaxText.
	Binary bool
	// Insertions and Deletions count lines, as `git diff --numstat` does: for symlinks
	// and both halves of a change of type too, and 0 where Binary.
	Insertions, Deletions int

	changes []change // one, or two when the type changed; none when only a mode did
}

// change is one section of a patch.
type change struct {
	old, new side
	same     bool // of content; the modes differ
	binary   bool
	blocks   []block
}

// side is a Side with its lines, where they are compared.
type side struct {
	Side
	lines [][]byte
}

// Compare finds the difference of a name, which is relative to the tree, of any bytes but
// NUL, and clean. It fails when a content cannot be read. A patch with a name that is
// InGit is refused by git as by Plan: leave such names out of what is to be applied.
func (m *Maker) Compare(name string, old, new Side) (*Delta, error) {
	d := &Delta{Name: name, Old: old, New: new, Status: statusOf(old, new)}
	pairs := [][2]Side{{old, new}}
	switch d.Status {
	case Unchanged: // both absent
		return d, nil
	case TypeChanged:
		pairs = [][2]Side{{old, {}}, {{}, new}}
	}
	for _, pair := range pairs {
		c, err := m.compare(pair[0], pair[1])
		if err != nil {
			return nil, err
		}
		if d.Status == Modified && c.same && old.gitMode() == new.gitMode() {
			d.Status = Unchanged
			return d, nil
		}
		d.Binary = d.Binary || c.binary
		for _, b := range c.blocks {
			d.Deletions += b.oldEnd - b.old
			d.Insertions += b.newEnd - b.new
		}
		d.changes = append(d.changes, c)
	}
	if d.Binary {
		d.Insertions, d.Deletions = 0, 0
	}
	return d, nil
}

func statusOf(old, new Side) Status {
	switch {
	case old.Kind == Absent && new.Kind == Absent:
		return Unchanged
	case old.Kind == Absent:
		return Added
	case new.Kind == Absent:
		return Deleted
	case old.Kind != new.Kind:
		return TypeChanged
	default:
		return Modified
	}
}

func (m *Maker) compare(old, new Side) (change, error) {
	c := change{old: side{Side: old}, new: side{Side: new}}
	if old.Size > MaxText || new.Size > MaxText {
		same, err := equal(old, new)
		c.same, c.binary = same, !same
		return c, err
	}
	before, err := old.read()
	if err != nil {
		return c, err
	}
	after, err := new.read()
	if err != nil {
		return c, err
	}
	switch {
	case bytes.Equal(before, after):
		c.same = true
	case !isText(before) || !isText(after):
		c.binary = true
	default:
		c.old.lines, c.new.lines = splitLines(before), splitLines(after)
		c.blocks = m.blocks(before, after, c.old.lines, c.new.lines)
	}
	return c, nil
}

// isText is the contract's rule for what is shown in lines.
func isText(content []byte) bool {
	return bytes.IndexByte(content, 0) < 0 && utf8.Valid(content)
}
