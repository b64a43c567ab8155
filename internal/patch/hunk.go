package patch

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
)

// hunk is one hunk as it stands in the patch. Its lines are read from there each time they
// are needed, so that they take no memory of their own.
type hunk struct {
	number, line       int // in its section; of its header in the patch; both from 1
	oldStart, oldLines int
	newStart, newLines int
	context            bool // there are lines of context
	leading, trailing  bool // it begins and ends with one
	body               []byte
}

// each yields the lines with their signs. A line that a marker follows has no newline.
func (h *hunk) each() iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for rest := h.body; len(rest) > 0; {
			var line []byte
			line, rest = cutLine(rest)
			sign, text := signed(line)
			if isMarker(rest) {
				text = bytes.TrimSuffix(text, []byte{'\n'})
				_, rest = cutLine(rest)
			}
			if !yield(sign, text) {
				return
			}
		}
	}
}

// cutLine cuts behind the first LF.
func cutLine(b []byte) (line, rest []byte) {
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 {
		end = len(b)
	}
	return b[:end], b[end:]
}

// signed splits a line of a hunk. An empty one is an empty line of context: programs that
// remove blanks at the ends of lines make such patches, and GNU diff can.
func signed(line []byte) (sign byte, text []byte) {
	if line[0] == '\n' || string(line) == "\r\n" {
		return ' ', line
	}
	return line[0], line[1:]
}

// isMarker knows "\ No newline at end of file", whose words depend on the language.
func isMarker(line []byte) bool { return len(line) > 0 && line[0] == '\\' }

// hunk reads a hunk: its header says how many lines follow, and only that tells a removed
// line "-- x" from the header of another file.
func (r *reader) hunk(number int) (hunk, error) {
	h := hunk{number: number, line: r.line}
	if r.hunks++; r.hunks > r.limits.Hunks {
		return h, invalid("more than %d hunks", r.limits.Hunks)
	}
	header, _ := r.next()
	if !h.parseHeader(string(header)) {
		return h, invalid("line %d: %s is no header of a hunk", h.line, shown(trimEOL(header)))
	}
	start := r.pos
	if err := r.hunkLines(&h); err != nil {
		return h, err
	}
	h.body = r.data[start:r.pos]
	return h, nil
}

func (r *reader) hunkLines(h *hunk) error {
	old, new, changes, first := h.oldLines, h.newLines, 0, true
	for old > 0 || new > 0 {
		line, ok := r.peek()
		if !ok {
			return invalid("hunk %d in line %d: the patch ends, but %d old and %d new lines are missing", h.number, h.line, old, new)
		}
		sign, _ := signed(line)
		switch sign {
		case ' ':
			old, new = old-1, new-1
			h.context = true
		case '-':
			old, changes = old-1, changes+1
		case '+':
			new, changes = new-1, changes+1
		default:
			return invalid("hunk %d in line %d: %d old and %d new lines are missing before line %d", h.number, h.line, old, new, r.line)
		}
		if old < 0 || new < 0 {
			return invalid("hunk %d in line %d: line %d is more than its header counts", h.number, h.line, r.line)
		}
		h.leading = h.leading || first && sign == ' '
		h.trailing, first = sign == ' ', false
		_, _ = r.next()
		if marker, _ := r.peek(); isMarker(marker) {
			_, _ = r.next()
		}
	}
	if changes == 0 {
		return invalid("hunk %d in line %d changes nothing", h.number, h.line)
	}
	return nil
}

func (h *hunk) parseHeader(line string) bool {
	ranges, _, ok := strings.Cut(strings.TrimPrefix(line, "@@ -"), " @@")
	old, new, both := strings.Cut(ranges, " +")
	if !ok || !both {
		return false
	}
	var oldOK, newOK bool
	h.oldStart, h.oldLines, oldOK = parseRange(old)
	h.newStart, h.newLines, newOK = parseRange(new)
	return oldOK && newOK
}

// parseRange reads "start" or "start,count". Nine digits are more lines than a patch holds.
func parseRange(s string) (start, count int, ok bool) {
	first, second, both := strings.Cut(s, ",")
	if !both {
		second = "1"
	}
	start, ok = parseCount(first)
	if !ok {
		return 0, 0, false
	}
	count, ok = parseCount(second)
	return start, count, ok && (start > 0 || count == 0)
}

func parseCount(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil && len(s) <= 9
}
