package supervisor

import (
	"errors"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// capture keeps what a command prints, up to a limit for each stream.
type capture struct{ stdout, stderr headTail }

// newCapture keeps up to limit bytes of each stream.
func newCapture(limit int) *capture {
	return &capture{stdout: headTail{half: limit / 2}, stderr: headTail{half: limit / 2}}
}

func (c *capture) output(t wire.FrameType, p []byte) error {
	if t == wire.FrameStdout {
		c.stdout.write(p)
	} else {
		c.stderr.write(p)
	}
	return nil
}

// both passes output on to two sinks.
type both [2]sink

func (b both) output(t wire.FrameType, p []byte) error {
	return errors.Join(b[0].output(t, p), b[1].output(t, p))
}

// headTail keeps the first and the last half of a stream that may be any length.
type headTail struct {
	half       int
	head, tail []byte
	lost       bool
}

func (h *headTail) write(p []byte) {
	n := min(len(p), h.half-len(h.head))
	h.head = append(h.head, p[:n]...)
	h.tail = append(h.tail, p[n:]...)
	// The tail may grow to twice its size before it is cut, so that each byte is
	// moved at most once more.
	if len(h.tail) > 2*h.half {
		h.cut()
	}
}

func (h *headTail) cut() {
	if over := len(h.tail) - h.half; over > 0 {
		h.tail = append(h.tail[:0], h.tail[over:]...)
		h.lost = true
	}
}

// text returns the stream as valid UTF-8, and whether something was left out of its
// middle. Where something was, it says so at that place.
func (h *headTail) text() (string, bool) {
	h.cut()
	middle := ""
	if h.lost {
		middle = "\n… (truncated) …\n"
	}
	return strings.ToValidUTF8(string(h.head)+middle+string(h.tail), "\uFFFD"), h.lost
}
