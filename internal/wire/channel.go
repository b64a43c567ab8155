package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/yamux"
)

// writeTime is how long a guest may not take what the host sends it. The multiplexer
// has room for what is announced, so an agent that reads never comes near.
const writeTime = 30 * time.Second

// Channel is the host's end of a control socket: connections to the agent, of which the
// host begins every one. What the guest may say on the socket itself is checked before
// the multiplexer sees it, see guarded.
type Channel struct{ session *yamux.Session }

// NewChannel takes conn over; Close closes it.
func NewChannel(conn net.Conn) (*Channel, error) { return newChannel(conn, writeTime) }

func newChannel(conn net.Conn, within time.Duration) (*Channel, error) {
	config := MuxConfig()
	config.ConnectionWriteTimeout = within // a guest that reads nothing must not hold us up
	session, err := yamux.Client(&guarded{Conn: conn}, config)
	if err != nil {
		return nil, err
	}
	return &Channel{session}, nil
}

// Dial begins a connection. It waits while too many are begun that the agent has not
// answered, as long as ctx allows.
func (c *Channel) Dial(ctx context.Context) (net.Conn, error) {
	type opened struct {
		conn net.Conn
		err  error
	}
	made := make(chan opened, 1)
	go func() { // ends within writeTime of its turn, or with the session
		conn, err := c.session.Open()
		made <- opened{conn, err}
	}()
	select {
	case o := <-made:
		if o.err != nil {
			return nil, refusedBy(ctx, o.err)
		}
		return o.conn, nil
	case <-ctx.Done():
		go func() { // ends after the other
			if o := <-made; o.err == nil {
				_ = o.conn.Close()
			}
		}()
		return nil, unavailable(ctx, fmt.Errorf("the agent takes no connection: %w", context.Cause(ctx)))
	}
}

// refusedBy says why there is no connection.
func refusedBy(ctx context.Context, err error) error {
	if IsTimeout(err) {
		return unavailable(ctx, fmt.Errorf("the agent takes no connection: %w", err))
	}
	return unavailable(ctx, fmt.Errorf("the sandbox is gone: %w", err))
}

// Close ends every connection. It may be called more than once.
func (c *Channel) Close() error { return c.session.Close() }

// The frames of the multiplexer: version, type, flags, stream, length, all in network
// order (https://github.com/hashicorp/yamux/blob/master/spec.md).
const (
	muxHead       = 12
	muxTypeData   = 0
	muxTypePing   = 2
	muxTypeGoAway = 3
	muxFlagSYN    = 1
)

// guarded reads what a guest sends to the multiplexer and refuses what costs the host
// more than it costs the guest: a ping begins a goroutine that waits until the guest
// reads its answer, and a stream that the guest opens has buffers and no reader. The
// agent sends neither. Nothing can be read after a refusal, which ends the session.
type guarded struct {
	net.Conn
	head [muxHead]byte
	have int    // bytes of head
	body uint32 // bytes to come that are the payload of a frame
	bad  error
}

// Read implements net.Conn.
func (g *guarded) Read(p []byte) (int, error) {
	if g.bad != nil {
		return 0, g.bad
	}
	n, err := g.Conn.Read(p)
	if g.bad = g.follow(p[:n]); g.bad != nil {
		return 0, g.bad
	}
	return n, err
}

// follow keeps track of where frames begin.
func (g *guarded) follow(p []byte) error {
	for len(p) > 0 {
		if g.body > 0 {
			n := min(int64(g.body), int64(len(p)))
			g.body -= uint32(n)
			p = p[n:]
			continue
		}
		n := copy(g.head[g.have:], p)
		g.have += n
		p = p[n:]
		if g.have < muxHead {
			return nil
		}
		g.have = 0
		if err := g.check(); err != nil {
			return err
		}
	}
	return nil
}

// check looks at a whole head.
func (g *guarded) check() error {
	version, kind := g.head[0], g.head[1]
	flags, length := binary.BigEndian.Uint16(g.head[2:]), binary.BigEndian.Uint32(g.head[8:])
	switch {
	case version != 0 || kind > muxTypeGoAway:
		return fmt.Errorf("%w: frame of version %d, type %d on the control socket", ErrProtocol, version, kind)
	case kind == muxTypePing:
		return fmt.Errorf("%w: a ping from the guest", ErrProtocol)
	case flags&muxFlagSYN != 0:
		return fmt.Errorf("%w: a stream that the guest opens", ErrProtocol)
	case kind == muxTypeData && length > maxWindow:
		return fmt.Errorf("%w: %d bytes beyond every window", ErrProtocol, length)
	case kind == muxTypeData:
		g.body = length
	}
	return nil
}
