package wire

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Renewal is what the host writes first on a socket that took the place of another
// under an agent whose memory was restored, where a frame of the multiplexer would
// begin: none does with such a byte. The agent gives up every connection of before and
// answers with the same; what comes earlier belongs to them.
const Renewal = "\xffpyro-again\n"

// maxStale is how much an agent may have had to say to the host of before, in bytes.
const maxStale = 64 << 20

// NewRestoredChannel is NewChannel to an agent whose memory was restored.
func NewRestoredChannel(conn net.Conn) (*Channel, error) {
	if _, err := conn.Write([]byte(Renewal)); err != nil {
		return nil, err
	}
	return newChannel(conn, &renewed{Conn: conn}, writeTime)
}

// renewed leaves out what was meant for the host of before.
type renewed struct {
	net.Conn
	stale int
	rest  []byte // read and not yet handed on
	found bool
}

// Read implements net.Conn.
func (r *renewed) Read(p []byte) (int, error) {
	for !r.found {
		if err := r.seek(); err != nil {
			return 0, err
		}
	}
	if len(r.rest) > 0 {
		n := copy(p, r.rest)
		r.rest = r.rest[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// seek reads on until behind the agent's answer.
func (r *renewed) seek() error {
	buf := make([]byte, 4096)
	n, err := r.Conn.Read(buf)
	r.stale += n
	r.rest = append(r.rest, buf[:n]...)
	if _, behind, ok := bytes.Cut(r.rest, []byte(Renewal)); ok {
		r.rest, r.found = behind, true
		return nil
	}
	if r.stale > maxStale {
		return fmt.Errorf("%w: no beginning in %d bytes", ErrProtocol, r.stale)
	}
	r.rest = r.rest[max(0, len(r.rest)-len(Renewal)+1):] // which may be the half of it
	return err
}

// Still returns when the agent has read all that was sent to it, and keeps anything
// more from being sent until resume is called: an agent that is saved then has no half
// of a frame. Connections stay, and wait.
func (c *Channel) Still(ctx context.Context) (resume func(), err error) {
	select {
	case c.conn.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, unavailable(ctx, fmt.Errorf("the agent does not read: %w", context.Cause(ctx)))
	}
	resume = func() { <-c.conn.turn }
	for {
		unread, err := sys.Unread(c.socket)
		switch {
		case err != nil:
			resume()
			return nil, err
		case unread == 0:
			return resume, nil
		case !sys.Sleep(ctx, time.Millisecond):
			resume()
			return nil, unavailable(ctx, fmt.Errorf("the agent does not read: %w", context.Cause(ctx)))
		}
	}
}
