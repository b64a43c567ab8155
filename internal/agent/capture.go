package agent

import (
	"fmt"
	"unicode/utf8"
)

// capture keeps the head and the tail of what is written to it. It never fails.
type capture struct {
	half int // bytes of the head, and of the tail
	head []byte
	tail []byte // a ring once it is full
	next int    // where the ring is written next
	all  int64
}

// newCapture makes a capture whose text is at most limit bytes long.
func newCapture(limit int) *capture {
	return &capture{half: (limit - len(cutMark(1<<62))) / 2}
}

// Write implements io.Writer.
func (c *capture) Write(b []byte) (int, error) {
	n := len(b)
	c.all += int64(n)
	room := min(c.half-len(c.head), n)
	c.head = append(c.head, b[:room]...)
	b = b[room:]
	if len(b) > c.half { // only its end can stay
		c.tail, c.next = append(c.tail[:0], b[len(b)-c.half:]...), 0
		return n, nil
	}
	room = min(c.half-len(c.tail), len(b))
	c.tail = append(c.tail, b[:room]...)
	for b = b[room:]; len(b) > 0; {
		k := copy(c.tail[c.next:], b)
		c.next = (c.next + k) % c.half
		b = b[k:]
	}
	return n, nil
}

// truncated reports whether something is missing in the middle.
func (c *capture) truncated() bool { return c.all > int64(len(c.head)+len(c.tail)) }

// text is what is left, with a mark where something was cut out. No character that
// came whole is cut in two.
func (c *capture) text() string {
	if !c.truncated() {
		return string(c.head) + string(c.tail)
	}
	head := trimEnd(c.head)
	tail := trimStart(append(append([]byte(nil), c.tail[c.next:]...), c.tail[:c.next]...))
	return string(head) + cutMark(c.all-int64(len(head)+len(tail))) + string(tail)
}

func cutMark(n int64) string { return fmt.Sprintf("\n[pyro: %d bytes are cut out here]\n", n) }

// trimEnd drops the beginning of a character that the cut left at the end.
func trimEnd(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if last := b[len(b)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// trimStart drops the end of a character that the cut left at the start.
func trimStart(b []byte) []byte {
	for i := 0; i < utf8.UTFMax-1 && i < len(b); i++ {
		if utf8.RuneStart(b[i]) {
			return b[i:]
		}
	}
	return b
}
