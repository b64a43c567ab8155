package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// What a connection to the bridge may cost.
const (
	maxBridged    = 64              // connections at once
	handshakeTime = 2 * time.Second // for the CONNECT line
	maxHandshake  = 32              // bytes of it
	acceptPause   = 50 * time.Millisecond
)

// bridge offers the agent on a unix socket, in the form in which Firecracker offers
// a guest's vsock: "CONNECT 5005\n", answered by "OK <number>\n", then bytes.
type bridge struct {
	listener net.Listener
	dial     func(context.Context) (net.Conn, error)
}

func newBridge(l net.Listener, dial func(context.Context) (net.Conn, error)) *bridge {
	return &bridge{listener: atMost(l, maxBridged), dial: dial}
}

// serve returns after close. Connections that are there go on until a side closes
// them, at the latest when the sandbox has ended.
func (b *bridge) serve(ctx context.Context) {
	for {
		conn, err := b.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors; somebody will close some
			sys.Sleep(ctx, acceptPause)
			continue
		}
		go func() { // ends when either side has closed
			defer func() { _ = conn.Close() }()
			b.connect(ctx, conn)
		}()
	}
}

func (b *bridge) close() { _ = b.listener.Close() }

func (b *bridge) connect(ctx context.Context, conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(handshakeTime))
	if line, err := readShortLine(conn); err != nil || line != fmt.Sprintf("CONNECT %d", wire.Port) {
		return // as Firecracker does for a port where nobody listens
	}
	_ = conn.SetReadDeadline(time.Time{})
	agent, err := b.dial(ctx)
	if err != nil {
		return
	}
	defer func() { _ = agent.Close() }()
	if _, err := fmt.Fprintf(conn, "OK %d\n", 1<<30+wire.Port); err != nil {
		return
	}
	go func() { // ends when the client stops sending, or connect closes both
		_, _ = io.Copy(agent, conn)
		_ = agent.Close() // yamux: closes our direction only
	}()
	_, _ = io.Copy(conn, agent)
}

// readShortLine reads byte by byte: what follows belongs to the agent.
func readShortLine(r io.Reader) (string, error) {
	var line strings.Builder
	var one [1]byte
	for line.Len() < maxHandshake {
		if _, err := io.ReadFull(r, one[:]); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return line.String(), nil
		}
		line.WriteByte(one[0])
	}
	return "", fmt.Errorf("line of more than %d bytes", maxHandshake)
}
