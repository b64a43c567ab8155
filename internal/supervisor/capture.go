package supervisor

import (
	"strings"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// capture keeps what a command prints, up to wire.MaxCapture of each stream.
type capture struct{ stdout, stderr headTail }

func (c *capture) output(t wire.FrameType, p []byte) error {
	if t == wire.FrameStdout {
		c.stdout.write(p)
	} else {
		c.stderr.write(p)
	}
	return nil
}

// headTail keeps the first and the last half of a stream that may be any length.
type headTail struct {
	head, tail []byte
	lost       bool
}

const half = wire.MaxCapture / 2

func (h *headTail) write(p []byte) {
	n := min(len(p), half-len(h.head))
	h.head = append(h.head, p[:n]...)
	h.tail = append(h.tail, p[n:]...)
	// The tail may grow to twice its size before it is cut, so that each byte is
	// moved at most once more.
	if len(h.tail) > 2*half {
		h.cut()
	}
}

func (h *headTail) cut() {
	if over := len(h.tail) - half; over > 0 {
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
