package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// dialTime is how long a connection within the guest may take to come about.
const dialTime = 10 * time.Second

// connect connects the peer with a TCP port of the guest, until both directions have
// ended or the peer goes away.
func (a *agent) connect(ctx context.Context, conn net.Conn, r *bufio.Reader, req *wire.DialRequest) {
	tcp, err := dialGuest(ctx, req.Address)
	if err != nil {
		_ = wire.Fail(patient{conn}, err)
		return
	}
	if wire.Reply(conn, wire.DialReply{Connected: true}) != nil {
		_ = tcp.Close()
		return
	}
	_ = wire.Splice(tcp, wire.NewTunnel(conn, r)) // whoever failed has been told by the end of the other
}

func dialGuest(ctx context.Context, address string) (*net.TCPConn, error) {
	if err := checkAddress(address); err != nil {
		return nil, invalid("%w", err)
	}
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("nothing listens on %s", address)}
	case isTimeout(err):
		return nil, &api.Error{Kind: api.Timeout, Err: fmt.Errorf("%s does not answer within %v", address, dialTime)}
	case err != nil:
		return nil, &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("connect: %w", err)}
	}
	return conn.(*net.TCPConn), nil
}
