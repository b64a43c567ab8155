package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/mdlayher/vsock"

	"github.com/pyro-sandbox/pyro/api"
)

// Dialer opens a new connection to the agent, for one request. The Dial method of
// a sandbox is one.
type Dialer func(ctx context.Context) (net.Conn, error)

// Bounds of the bridge's handshake.
const (
	handshakeTimeout = 2 * time.Second
	maxHandshake     = 32 // bytes of the answer, its line feed included
)

// Transport chooses how to reach an agent: over the unix bridge at udsPath where
// one is given, else over AF_VSOCK where a context id is given. With neither, every
// dial fails with api.Unsupported.
//
// A given path wins because the monitors that offer a bridge (Firecracker) do not
// serve AF_VSOCK on the host, however many hosts know that address family.
func Transport(udsPath string, cid, port uint32) Dialer {
	switch {
	case udsPath != "":
		return Bridge(udsPath)
	case cid != 0:
		return Vsock(cid, port)
	}
	return func(context.Context) (net.Conn, error) {
		return nil, &api.Error{Kind: api.Unsupported, Err: errors.New("vsock is not supported here: neither a context id nor the path of a bridge is given")}
	}
}

// Vsock dials a context id over AF_VSOCK, as vsock(7) describes it.
func Vsock(cid, port uint32) Dialer {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := vsock.DialContext(ctx, cid, port, nil)
		if err != nil {
			return nil, unavailable(ctx, fmt.Errorf("connect to vsock %d:%d: %w", cid, port, err))
		}
		return conn, nil
	}
}

// Bridge dials a unix socket that connects to the agent after a line of handshake,
// as Firecracker's vsock device does for connections that the host begins
// (https://github.com/firecracker-microvm/firecracker/blob/main/docs/vsock.md).
func Bridge(path string) Dialer {
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err != nil {
			return nil, unavailable(ctx, fmt.Errorf("connect to the bridge: %w", err))
		}
		if err := handshake(ctx, conn); err != nil {
			_ = conn.Close()
			return nil, unavailable(ctx, fmt.Errorf("bridge %s: %w", path, err))
		}
		return conn, nil
	}
}

// handshake asks for the agent's port. Afterwards conn has no deadline.
func handshake(ctx context.Context, conn net.Conn) error {
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := fmt.Fprintf(conn, "CONNECT %d\n", Port); err != nil {
		return err
	}
	line, err := readHandshake(conn)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "OK ") {
		return fmt.Errorf("%w: CONNECT was answered with %q instead of OK", ErrProtocol, line)
	}
	return conn.SetDeadline(time.Time{})
}

// readHandshake reads byte by byte, since what follows the line is the agent's.
func readHandshake(r io.Reader) (string, error) {
	var line []byte
	for len(line) < maxHandshake {
		var c [1]byte
		if _, err := io.ReadFull(r, c[:]); err != nil {
			if len(line) == 0 {
				return "", fmt.Errorf("CONNECT was not answered: %w", err)
			}
			return "", fmt.Errorf("%w: CONNECT was answered with %q and no line feed", ErrProtocol, line)
		}
		if c[0] == '\n' {
			return string(line), nil
		}
		line = append(line, c[0])
	}
	return "", fmt.Errorf("%w: CONNECT was answered with %q and more", ErrProtocol, line)
}

// unavailable is err with the kind of its cause (see causeOf).
func unavailable(ctx context.Context, err error) error {
	return &api.Error{Kind: causeOf(ctx, err), Err: err}
}

// causeOf tells why talking to an agent failed: ctx ended, a deadline struck, the
// other side broke the protocol, or else it is not there. A kind that err already
// has is kept.
func causeOf(ctx context.Context, err error) api.Kind {
	var known *api.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return api.Canceled
	case ctx.Err() != nil, IsTimeout(err):
		return api.Timeout
	case errors.As(err, &known):
		return known.Kind
	case errors.Is(err, ErrProtocol):
		return api.Internal
	}
	return api.Unavailable
}

// IsTimeout reports whether err is of a deadline: of sockets, of contexts, and of the multiplexer, which
// for one that its peer does not read has an error of its own.
func IsTimeout(err error) bool {
	slow, ok := errors.AsType[net.Error](err) // context.DeadlineExceeded and os.ErrDeadlineExceeded are such
	return ok && slow.Timeout() || errors.Is(err, yamux.ErrConnectionWriteTimeout)
}
