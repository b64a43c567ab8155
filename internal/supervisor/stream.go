package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// stream runs a command over frames. The client's end of file, or anything that it
// may not send, cancels the command.
func (s *supervisor) stream(ctx context.Context, w http.ResponseWriter, run run) {
	conn, buffered, err := upgrade(w)
	if err != nil {
		fail(w, &api.Error{Kind: api.Internal, Err: err})
		return
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e, err := s.begin(run)
	if err != nil {
		s.sendFailure(conn, err)
		return
	}
	agent, err := e.dial(ctx, run)
	if err != nil {
		s.sendFailure(conn, e.lost(err))
		return
	}
	defer func() { _ = agent.Close() }()
	go func() { // ends when the client's connection does, at the latest with this call
		cancel(forward(agent, buffered, run.request))
		abandon(agent)
	}()
	result, err := e.relay(ctx, agent, frames{conn})
	if err != nil {
		s.sendFailure(conn, err)
		return
	}
	send(conn, wire.FrameExit, result)
	_ = s.save() // or with the next one: the client has its answer
}

var errClientLeft = errors.New("the client left")

// forward passes the client's frames to the agent until the client says no more.
func forward(agent net.Conn, client *bufio.Reader, request wire.StreamRequest) error {
	var buf []byte
	for {
		frame, err := wire.ReadFrame(client, &buf)
		if err != nil {
			return errClientLeft
		}
		switch {
		case frame.Type == wire.FrameSignal, frame.Type == wire.FrameStdin && request.Stdin, frame.Type == wire.FrameResize && request.TTY != nil:
		default:
			return fmt.Errorf("unexpected frame %q from the client", byte(frame.Type))
		}
		if err := wire.WriteFrame(agent, frame.Type, frame.Payload); err != nil {
			// The command has ended, or closed its stdin; what comes of it will be said
			// by the agent.
			continue
		}
	}
}

// frames sends output to the client as it comes. A client that does not read holds
// the command up, and nothing else.
type frames struct{ conn net.Conn }

func (f frames) output(t wire.FrameType, p []byte) error { return wire.WriteFrame(f.conn, t, p) }

// pour answers with frames that send writes. The client has nothing to say: whatever
// comes from it, its end of file above all, cancels the context.
func pour(w http.ResponseWriter, r *http.Request, send func(context.Context, net.Conn)) {
	conn, in, err := upgrade(w)
	if err != nil {
		fail(w, &api.Error{Kind: api.Internal, Err: err})
		return
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	go func() { // ends with the client's connection
		_, _ = in.ReadByte()
		cancel(errClientLeft)
	}()
	send(ctx, conn)
}

// upgrade takes the connection over from HTTP.
func upgrade(w http.ResponseWriter) (net.Conn, *bufio.Reader, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", api.Frames)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, rw.Reader, nil
}

func (s *supervisor) sendFailure(conn net.Conn, err error) { send(conn, wire.FrameFail, s.excuse(err)) }

// send ends a stream. A client that went away meanwhile is no error of ours.
func send(conn net.Conn, t wire.FrameType, v any) {
	payload, err := json.Marshal(v)
	if err != nil {
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(launchTime))
	_ = wire.WriteFrame(conn, t, payload)
}
