package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// sanitizer passes text on to a terminal and lets nothing through that a terminal
// acts upon. It holds back at most maxSequence bytes, to see whole characters and
// sequences whatever the borders of the writes; Flush gives up those too.
//
//   - Letters, digits, TAB, LF and CR LF pass.
//   - A CR elsewhere would let later text hide earlier text; it becomes an LF.
//   - Well-formed control sequences (ECMA-48 §5.4: colours, cursor moves) are
//     dropped: they hold no text, and programs that colour their output are common.
//   - All else is shown instead of done: ^[ for ESC, ^G for BEL, \x9b for a byte
//     that is not UTF-8, \u202e for a character that turns the text around. Strings
//     (OSC, DCS, …) therefore appear with their content, and one without an end
//     swallows nothing.
type sanitizer struct {
	w    io.Writer
	held []byte // the beginning of something that is not complete
	last byte   // of what was written
}

// maxSequence bounds what a control sequence may be long; no real one is longer.
const maxSequence = 64

// Write implements io.Writer. It claims all of p, held back or not.
func (s *sanitizer) Write(p []byte) (int, error) {
	text := append(s.held, p...)
	out, used := appendSafe(nil, text, partial)
	s.held = append([]byte(nil), text[used:]...)
	if err := s.emit(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what was held back, in its visible form.
func (s *sanitizer) Flush() error {
	out, _ := appendSafe(nil, s.held, whole)
	s.held = nil
	return s.emit(out)
}

func (s *sanitizer) emit(safe []byte) error {
	if len(safe) == 0 {
		return nil
	}
	s.last = safe[len(safe)-1]
	_, err := s.w.Write(safe)
	return err
}

// extent says whether more text may follow.
type extent int

const (
	whole extent = iota
	partial
)

// appendSafe appends the safe form of text to out and returns how many bytes of
// text that covers: all of a whole, of a partial text all but an unfinished end.
func appendSafe(out, text []byte, e extent) ([]byte, int) {
	for i := 0; i < len(text); {
		rest := text[i:]
		if e == partial && unfinished(rest) {
			return out, i
		}
		var n int
		switch c := rest[0]; {
		case c == '\r':
			out, n = appendReturn(out, rest)
		case c == 0x1b && sequenceLength(rest) > 0:
			n = sequenceLength(rest)
		case c < utf8.RuneSelf:
			out, n = appendASCII(out, c), 1
		default:
			out, n = appendRune(out, rest)
		}
		i += n
	}
	return out, len(text)
}

// unfinished reports whether the meaning of the first byte of text depends on
// bytes that have not come.
func unfinished(text []byte) bool {
	switch text[0] {
	case '\r':
		return len(text) == 1
	case 0x1b:
		return len(text) < maxSequence && sequenceLength(text) < 0
	}
	return !utf8.FullRune(text)
}

// appendReturn takes one CR, and the LF after it. Of several CRs the last decides.
func appendReturn(out, text []byte) ([]byte, int) {
	switch {
	case len(text) > 1 && text[1] == '\r':
		return out, 1
	case len(text) > 1 && text[1] == '\n':
		return append(out, "\r\n"...), 2
	}
	return append(out, '\n'), 1
}

// sequenceLength returns the length of the control sequence that text begins with:
// ESC [, parameter bytes 0x30–0x3f, intermediate bytes 0x20–0x2f, one final byte
// 0x40–0x7e. It is 0 where there is none and -1 where the end is still to come.
func sequenceLength(text []byte) int {
	if len(text) > 1 && text[1] != '[' {
		return 0
	}
	i := 2
	for i < len(text) && text[i] >= 0x30 && text[i] <= 0x3f {
		i++
	}
	for i < len(text) && text[i] >= 0x20 && text[i] <= 0x2f {
		i++
	}
	switch {
	case i >= maxSequence:
		return 0
	case i >= len(text):
		return -1
	case text[i] >= 0x40 && text[i] <= 0x7e:
		return i + 1
	}
	return 0
}

func appendASCII(out []byte, c byte) []byte {
	switch {
	case c == '\t', c == '\n':
		return append(out, c)
	case c < 0x20:
		return append(out, '^', c+'@')
	case c == 0x7f:
		return append(out, "^?"...)
	}
	return append(out, c)
}

func appendRune(out, text []byte) ([]byte, int) {
	r, n := utf8.DecodeRune(text)
	switch {
	case r == utf8.RuneError && n == 1:
		return fmt.Appendf(out, `\x%02x`, text[0]), 1
	case isActive(r):
		return fmt.Appendf(out, `\u%04x`, r), n
	}
	return append(out, text[:n]...), n
}

// isActive reports whether a terminal does something with r other than show it: C1
// controls, line separators, and the marks, embeddings, overrides and isolates of
// the bidirectional algorithm (UAX #9) with their deprecated kin.
func isActive(r rune) bool {
	switch {
	case r >= 0x80 && r <= 0x9f,
		r == 0x061c, r == 0x200e, r == 0x200f,
		r >= 0x2028 && r <= 0x202e,
		r >= 0x2066 && r <= 0x206f:
		return true
	}
	return false
}

// oneLine makes a text safe for a line of our own: nothing active, no line break.
func oneLine(s string) string {
	breaks := strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`)
	out, _ := appendSafe(nil, []byte(breaks.Replace(s)), whole)
	return string(out)
}

// quote prints a text as a Python string literal, which is what the lines that
// carry names have always held.
func quote(s string) string {
	mark := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		mark = '"'
	}
	var b strings.Builder
	b.WriteRune(mark)
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == mark, r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n', r == '\r', r == '\t':
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		case r < 0x20 || r >= 0x7f && r <= 0xff && !strconv.IsPrint(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff && !strconv.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		case !strconv.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteRune(mark)
	return b.String()
}

func quoteAll(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return strings.Join(quoted, ", ")
}
