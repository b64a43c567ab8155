package wire

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// writeTime is how long a guest may not take what the host sends it. The multiplexer
// has room for what is announced, so an agent that reads never comes near.
const writeTime = 30 * time.Second

// Channel is the host's end of a control socket: connections to the agent, of which the
// host begins every one. What the guest may say on the socket itself is checked before
// the multiplexer sees it, see guarded.
type Channel struct {
	session *yamux.Session
	conn    *guarded
	socket  net.Conn // what conn is made of
}

// NewChannel takes conn over; Close closes it.
func NewChannel(conn net.Conn) (*Channel, error) { return newChannel(conn, conn, writeTime) }

func newChannel(socket, conn net.Conn, within time.Duration) (*Channel, error) {
	config := MuxConfig()
	config.ConnectionWriteTimeout = within // a guest that reads nothing must not hold us up
	guarded := newGuarded(conn)
	session, err := yamux.Client(guarded, config)
	if err != nil {
		return nil, err
	}
	return &Channel{session, guarded, socket}, nil
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

// guarded reads what a guest sends to the multiplexer and refuses what costs the host
// more than it costs the guest: a ping begins a goroutine that waits until the guest
// reads its answer, and a stream that the guest opens has buffers and no reader. The
// agent sends neither. Nothing can be read after a refusal, which ends the session.
//
// It writes whole frames, and none while somebody else has the turn.
type guarded struct {
	net.Conn
	in  MuxFrames
	bad error

	out    MuxFrames
	turn   chan struct{} // holds one element from the first byte of a frame to its last
	closed chan struct{}
	once   sync.Once
}

func newGuarded(conn net.Conn) *guarded {
	return &guarded{Conn: conn, turn: make(chan struct{}, 1), closed: make(chan struct{})}
}

// Read implements net.Conn.
func (g *guarded) Read(p []byte) (int, error) {
	if g.bad != nil {
		return 0, g.bad
	}
	n, err := g.Conn.Read(p)
	if g.bad = g.in.Follow(p[:n], checkHead); g.bad != nil {
		return 0, g.bad
	}
	return n, err
}

// Write implements net.Conn. The multiplexer writes from one goroutine, and nothing
// more after an error.
func (g *guarded) Write(p []byte) (int, error) {
	if g.out.AtStart() {
		select {
		case g.turn <- struct{}{}:
		case <-g.closed:
			return 0, net.ErrClosed
		}
	}
	n, err := g.Conn.Write(p)
	_ = g.out.Follow(p[:n], func(*MuxHead) error { return nil })
	if g.out.AtStart() {
		<-g.turn
	}
	return n, err
}

// Close implements net.Conn.
func (g *guarded) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Conn.Close()
}

// checkHead refuses frames that the agent does not send.
func checkHead(head *MuxHead) error {
	version, kind, flags, length := head[0], head[1], head.flags(), head.length()
	switch {
	case version != 0 || kind > muxTypeGoAway:
		return fmt.Errorf("%w: frame of version %d, type %d on the control socket", ErrProtocol, version, kind)
	case kind == muxTypePing:
		return fmt.Errorf("%w: a ping from the guest", ErrProtocol)
	case flags&muxFlagSYN != 0:
		return fmt.Errorf("%w: a stream that the guest opens", ErrProtocol)
	case kind == muxTypeData && length > maxWindow:
		return fmt.Errorf("%w: %d bytes beyond every window", ErrProtocol, length)
	}
	return nil
}
