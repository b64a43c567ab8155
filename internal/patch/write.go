package patch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// contextLines stand before and after what changed, as git's default has it.
const contextLines = 3

const noNewline = "\\ No newline at end of file"

// WriteGit writes the sections of a git patch: none when nothing changed, two (delete and
// add) when the type changed. Errors are those of w and of reading the contents.
func (d *Delta) WriteGit(w io.Writer) error {
	out := bufio.NewWriter(w)
	for i := range d.changes {
		if err := d.changes[i].section(out, d.Name); err != nil {
			return fmt.Errorf("write patch of %s: %w", quoteName(d.Name), err)
		}
	}
	return out.Flush()
}

// WriteText writes the plain unified form: --- and +++ with a/ and b/ before the name, or
// /dev/null, and hunks. It writes nothing where there are no lines to show: Binary,
// symlinks, a changed type or mode, and empty files that come or go.
func (d *Delta) WriteText(w io.Writer) error {
	if len(d.changes) != 1 || d.Old.Kind == Symlink || d.New.Kind == Symlink || len(d.changes[0].blocks) == 0 {
		return nil
	}
	c, out := &d.changes[0], bufio.NewWriter(w)
	fmt.Fprintf(out, "--- %s\n+++ %s\n", c.old.label("a/"+d.Name), c.new.label("b/"+d.Name))
	c.hunks(out)
	return out.Flush()
}

// label is a name as it stands after --- or +++.
func (s Side) label(name string) string {
	if s.Kind == Absent {
		return "/dev/null"
	}
	return quoteName(name)
}

// section writes one change in full. The errors of a bufio.Writer stay with it.
func (c *change) section(out *bufio.Writer, name string) error {
	oldID, err := c.old.blobID()
	if err != nil {
		return err
	}
	newID, err := c.new.blobID()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "diff --git %s %s\n", quoteName("a/"+name), quoteName("b/"+name))
	oldMode, newMode, ids := c.old.gitMode(), c.new.gitMode(), oldID+".."+newID
	switch {
	case c.old.Kind == Absent:
		fmt.Fprintf(out, "new file mode %s\nindex %s\n", newMode, ids)
	case c.new.Kind == Absent:
		fmt.Fprintf(out, "deleted file mode %s\nindex %s\n", oldMode, ids)
	case oldMode != newMode:
		fmt.Fprintf(out, "old mode %s\nnew mode %s\n", oldMode, newMode)
		if !c.same {
			fmt.Fprintf(out, "index %s\n", ids)
		}
	default:
		fmt.Fprintf(out, "index %s %s\n", ids, newMode)
	}
	switch {
	case c.binary:
		return c.contents(out)
	case len(c.blocks) > 0:
		fmt.Fprintf(out, "--- %s\n+++ %s\n", tabbed(c.old.label("a/"+name)), tabbed(c.new.label("b/"+name)))
		c.hunks(out)
	}
	return nil
}

// contents writes what makes either content of the other, so that the patch can be applied
// in reverse.
func (c *change) contents(out *bufio.Writer) error {
	fmt.Fprint(out, "GIT binary patch\n")
	shared, err := commonEnds(c.old.Side, c.new.Side)
	if err != nil {
		return err
	}
	return errors.Join(writeBinary(out, c.old.Side, c.new.Side, shared), writeBinary(out, c.new.Side, c.old.Side, shared))
}

// hunks writes the blocks with the lines around them; blocks whose surroundings meet are
// one hunk.
func (c *change) hunks(out *bufio.Writer) {
	for first := 0; first < len(c.blocks); {
		last := first
		for last+1 < len(c.blocks) && c.blocks[last+1].old-c.blocks[last].oldEnd <= 2*contextLines {
			last++
		}
		c.hunk(out, c.blocks[first:last+1])
		first = last + 1
	}
}

func (c *change) hunk(out *bufio.Writer, blocks []block) {
	first, last := blocks[0], blocks[len(blocks)-1]
	before := min(contextLines, first.old)
	after := min(contextLines, len(c.old.lines)-last.oldEnd)
	old, end := first.old-before, last.oldEnd+after
	fmt.Fprintf(out, "@@ -%s +%s @@\n", lineRange(old, end), lineRange(first.new-before, last.newEnd+after))
	for _, b := range blocks {
		writeLines(out, ' ', c.old.lines[old:b.old])
		writeLines(out, '-', c.old.lines[b.old:b.oldEnd])
		writeLines(out, '+', c.new.lines[b.new:b.newEnd])
		old = b.oldEnd
	}
	writeLines(out, ' ', c.old.lines[old:end])
}

// lineRange is one half of a hunk's header: lines count from 1, and a range without lines
// is named by the line before it.
func lineRange(start, end int) string {
	switch end - start {
	case 0:
		return fmt.Sprintf("%d,0", start)
	case 1:
		return fmt.Sprintf("%d", start+1)
	default:
		return fmt.Sprintf("%d,%d", start+1, end-start)
	}
}

func writeLines(out *bufio.Writer, sign byte, lines [][]byte) {
	for _, line := range lines {
		_ = out.WriteByte(sign) // the writer keeps its first error for Flush
		_, _ = out.Write(line)
		if line[len(line)-1] != '\n' {
			_, _ = out.WriteString("\n" + noNewline + "\n")
		}
	}
}
