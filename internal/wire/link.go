package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// link is one connection of a client: it has a deadline for every piece and one for
// the whole, and is closed when its context ends.
type link struct {
	ctx  context.Context // of the call that the link was made for
	op   string
	conn net.Conn
	idle time.Duration // between any two pieces, in either direction
	end  time.Time
	stop func() bool
}

// open connects, trying again within the client's window.
func (c *Client) open(ctx context.Context, x exchange) (*link, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, &api.Error{Kind: causeOf(ctx, err), Op: steps[x.op], Err: err}
	}
	l := &link{ctx: ctx, op: x.op, conn: conn, idle: x.timeout, end: time.Now().Add(x.timeout)}
	l.allow(x.size)
	l.stop = context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0))
		_ = conn.Close()
	})
	return l, nil
}

func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	end := time.Now().Add(c.ConnectWindow)
	for {
		conn, err := c.dialOnce(ctx)
		if err == nil {
			return conn, nil
		}
		if kind := causeOf(ctx, err); kind != api.Unavailable && kind != api.Timeout {
			return nil, err
		}
		if time.Until(end) < connectPause {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(connectPause):
		}
	}
}

func (c *Client) dialOnce(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return c.Dial(ctx)
}

// allow adds to the whole what size bytes may take.
func (l *link) allow(size int64) {
	seconds := min(size/slowestRate, 1<<31) // more would overflow a Duration
	l.end = l.end.Add(time.Duration(seconds) * time.Second)
}

// Read implements io.Reader.
func (l *link) Read(p []byte) (int, error) {
	l.pace()
	return l.conn.Read(p)
}

// Write implements io.Writer. Progress here also moves the deadline of a Read that
// waits for the reply to come.
func (l *link) Write(p []byte) (int, error) {
	l.pace()
	return l.conn.Write(p)
}

// pace sets the deadline of the next piece. A connection that the other side has
// closed may refuse; what is left in it can still be read, and Read says the rest.
func (l *link) pace() {
	next := time.Now().Add(l.idle)
	if next.After(l.end) {
		next = l.end
	}
	_ = l.conn.SetDeadline(next)
	if l.ctx.Err() != nil {
		_ = l.conn.SetDeadline(time.Unix(1, 0))
	}
}

// close may be called more than once.
func (l *link) close() {
	l.stop()
	_ = l.conn.Close()
}

// sourceError says that the fault is in what the caller gave to be sent.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// source marks the errors of the reader behind it.
type source struct{ r io.Reader }

func (s source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &sourceError{fmt.Errorf("read what is to be sent: %w", err)}
	}
	return n, err
}

// send writes the line and exactly x.size bytes of the body. If the body fails it
// closes the connection, since what was announced cannot be sent any more.
func (l *link) send(x exchange, line []byte) error {
	if _, err := l.Write(line); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	if x.body == nil {
		return nil
	}
	_, err := io.CopyN(l, source{x.body}, x.size)
	var fault *sourceError
	switch {
	case errors.Is(err, io.EOF):
		err = &sourceError{fmt.Errorf("less to send than the announced %d bytes: %w", x.size, io.ErrUnexpectedEOF)}
		l.close()
	case errors.As(err, &fault):
		l.close()
	case err != nil:
		err = fmt.Errorf("send body: %w", err)
	}
	return err
}

// readAll reads to the end of the connection.
func (l *link) readAll(limit int) ([]byte, error) { return readBounded(l, limit) }

func readBounded(r io.Reader, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	if len(data) > limit {
		return nil, violated(fmt.Errorf("is longer than %d bytes", limit))
	}
	return data, nil
}

// failed closes the link and says why the operation failed. What the agent itself
// reported is returned as it is, without the name of the operation.
func (l *link) failed(err error) error {
	l.close()
	kind := causeOf(l.ctx, err)
	var reported *api.Error
	if errors.As(err, &reported) && kind == reported.Kind {
		return err
	}
	return &api.Error{Kind: kind, Op: steps[l.op], Err: err}
}
