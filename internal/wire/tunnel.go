package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Tunnel is a TCP connection of the guest, carried in frames after a DialRequest: either
// direction is any number of FrameData and a FrameEnd. Connections to the agent cannot
// all end one direction and keep the other for long; frames can.
//
// One goroutine may read while another writes.
type Tunnel struct {
	conn net.Conn
	r    *bufio.Reader
	left int   // of the frame that is being read
	err  error // that ended reading

	writing sync.Mutex
	ended   bool // FrameEnd was sent
}

// NewTunnel carries a connection over conn, of which r holds what was read already.
// Close closes conn.
func NewTunnel(conn net.Conn, r *bufio.Reader) *Tunnel { return &Tunnel{conn: conn, r: r} }

// Read implements io.Reader. It returns io.EOF when the other side has ended its
// direction, and io.ErrUnexpectedEOF where the connection ended before that.
func (t *Tunnel) Read(b []byte) (int, error) {
	for t.left == 0 && t.err == nil {
		t.err = t.next()
	}
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.r.Read(b[:min(len(b), t.left)])
	t.left -= n
	if err != nil {
		t.err = unexpected(err)
	}
	return n, t.err
}

// next reads the head of a frame.
func (t *Tunnel) next() error {
	var head [5]byte
	if _, err := io.ReadFull(t.r, head[:]); err != nil {
		return unexpected(err)
	}
	size := binary.BigEndian.Uint32(head[1:])
	switch kind := FrameType(head[0]); {
	case kind == FrameEnd && size == 0:
		return io.EOF
	case kind != FrameData || size == 0 || size > maxPiece:
		return fmt.Errorf("%w: frame %q of %d bytes in a tunnel", ErrProtocol, head[0], size)
	}
	t.left = int(size)
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Write implements io.Writer. It blocks while the other side does not read.
func (t *Tunnel) Write(b []byte) (n int, err error) {
	t.writing.Lock()
	defer t.writing.Unlock()
	if t.ended {
		return 0, net.ErrClosed
	}
	for n < len(b) {
		piece := b[n:min(len(b), n+maxPiece)]
		if err := WriteFrame(t.conn, FrameData, piece); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

// CloseWrite ends our direction.
func (t *Tunnel) CloseWrite() error {
	t.writing.Lock()
	defer t.writing.Unlock()
	if t.ended {
		return nil
	}
	t.ended = true
	return WriteFrame(t.conn, FrameEnd, nil)
}

// Close ends both directions. It may be called at any time and more than once.
func (t *Tunnel) Close() error {
	_ = t.conn.SetDeadline(time.Unix(1, 0)) // wakes those that Close does not, as in yamux
	return t.conn.Close()
}

// DialTunnel connects to a TCP port in the guest. The caller closes the Tunnel.
func (c *Client) DialTunnel(ctx context.Context, address string) (*Tunnel, error) {
	x := exchange{op: ActionDial, request: DialRequest{Action: ActionDial, Address: address}, timeout: usualTimeout}
	line, err := x.encode()
	if err != nil {
		return nil, err
	}
	l, err := c.open(ctx, x)
	if err != nil {
		return nil, err
	}
	if err := l.send(x, line); err != nil {
		return nil, l.failed(err)
	}
	r := bufio.NewReaderSize(l, maxPiece)
	answer, err := ReadLine(r, MaxShortLine)
	if err == nil {
		err = decodeReply(answer, &DialReply{})
	}
	if err != nil {
		return nil, l.failed(err)
	}
	if !l.stop() { // from here on the Tunnel lives as long as its owner wants
		return nil, l.failed(ctx.Err())
	}
	_ = l.conn.SetDeadline(time.Time{})
	rest, _ := r.Peek(r.Buffered())
	in := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(rest), l.conn), maxPiece)
	return NewTunnel(l.conn, in), nil
}

// Splice passes bytes between two connections in both directions until both have ended
// or one fails, and closes both. Each direction may end by itself.
func Splice(a, b HalfCloser) error {
	errs := make(chan error, 2)
	pass := func(to, from HalfCloser) { // ends with from, or when either is closed
		_, err := io.Copy(to, from)
		if err == nil {
			err = to.CloseWrite()
		}
		if err != nil {
			_ = to.Close()
			_ = from.Close()
		}
		errs <- err
	}
	go pass(a, b)
	pass(b, a)
	err := errors.Join(<-errs, <-errs)
	_ = a.Close()
	_ = b.Close()
	return err
}

// HalfCloser is a connection whose directions end one by one.
type HalfCloser interface {
	io.ReadWriteCloser
	CloseWrite() error
}

var _ HalfCloser = (*Tunnel)(nil)
