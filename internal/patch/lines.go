package patch

import (
	"bytes"

	"znkr.io/diff"
	"znkr.io/diff/textdiff"
)

// How hard common lines are looked for. An exact comparison costs up to lines times
// edits, with some 20 ns each.
const (
	exactLines = 8_000         // of both sides together, up to which it is exact
	fastLines  = 1_000_000     // up to which it is anchored at lines that occur once on each side
	maxWork    = 2_000_000_000 // for all that one Maker compares
	fastWork   = 50            // of the anchored comparison, for each line
)

// block replaces the lines [old,oldEnd) of one side by [new,newEnd) of the other.
type block struct{ old, oldEnd, new, newEnd int }

// splitLines cuts behind each LF, and nowhere else.
func splitLines(content []byte) [][]byte {
	if len(content) == 0 {
		return nil
	}
	lines := make([][]byte, 0, bytes.Count(content, []byte{'\n'})+1)
	for len(content) > 0 {
		end := bytes.IndexByte(content, '\n') + 1
		if end == 0 {
			end = len(content)
		}
		lines = append(lines, content[:end])
		content = content[end:]
	}
	return lines
}

// blocks finds what differs, in order.
func (m *Maker) blocks(before, after []byte, old, new [][]byte) []block {
	if n := len(old) + len(new); len(old) > 0 && len(new) > 0 && n <= exactLines && m.spent < maxWork {
		found := collect(textdiff.Hunks(before, after, diff.Context(0), textdiff.IndentHeuristic()), 0, 0)
		m.charge(n, found)
		return found
	}
	head := 0
	for head < min(len(old), len(new)) && bytes.Equal(old[head], new[head]) {
		head++
	}
	tail := 0
	for tail < min(len(old), len(new))-head && bytes.Equal(old[len(old)-1-tail], new[len(new)-1-tail]) {
		tail++
	}
	return m.anchored(old, new, block{head, len(old) - tail, head, len(new) - tail})
}

// anchored compares what is too long for an exact comparison: lines that occur once on
// both sides cut it into pieces, which are compared exactly where they are short enough.
func (m *Maker) anchored(old, new [][]byte, whole block) []block {
	n := whole.oldEnd - whole.old + whole.newEnd - whole.new
	if whole.old == whole.oldEnd || whole.new == whole.newEnd || n > fastLines || m.spent >= maxWork {
		return []block{whole}
	}
	before, after := joined(old[whole.old:whole.oldEnd]), joined(new[whole.new:whole.newEnd])
	m.spent += fastWork * int64(n)
	var found []block
	for _, b := range collect(textdiff.Hunks(before, after, diff.Context(0), diff.Fast()), whole.old, whole.new) {
		n := b.oldEnd - b.old + b.newEnd - b.new
		if b.old == b.oldEnd || b.new == b.newEnd || n > exactLines || m.spent >= maxWork {
			found = append(found, b)
			continue
		}
		piece := collect(textdiff.Hunks(joined(old[b.old:b.oldEnd]), joined(new[b.new:b.newEnd]), diff.Context(0)), b.old, b.new)
		m.charge(n, piece)
		found = append(found, piece...)
	}
	return found
}

// joined undoes splitLines: neighbours lie one behind the other.
func joined(lines [][]byte) []byte {
	if len(lines) == 0 {
		return nil
	}
	n := 0
	for _, line := range lines {
		n += len(line)
	}
	return lines[0][:n:n]
}

func (m *Maker) charge(lines int, found []block) {
	edits := 0
	for _, b := range found {
		edits += b.oldEnd - b.old + b.newEnd - b.new
	}
	m.spent += int64(lines) * int64(edits+1)
}

// collect takes the places out of hunks without context.
func collect(hunks []textdiff.Hunk[[]byte], old, new int) []block {
	found := make([]block, 0, len(hunks))
	for _, h := range hunks {
		found = append(found, block{old + h.LineNoX, old + h.EndLineNoX, new + h.LineNoY, new + h.EndLineNoY})
	}
	return found
}
