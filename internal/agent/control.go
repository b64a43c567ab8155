package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// serveControl answers the streams of the multiplexed socket fd, each as Serve does
// a connection. It returns nil at the end of the file, which says that the host is
// gone, and when ctx ends. It closes fd.
func serveControl(ctx context.Context, fd int, cfg Config) error {
	// A blocking socket is in no epoll set, so that one which a memory restore puts
	// under the same number is read by the read that is asleep already.
	if err := unix.SetNonblock(fd, false); err != nil {
		return fmt.Errorf("control socket %d: %w", fd, err)
	}
	host := newControl(fd)
	all := &hosts{host: host}
	if err := all.begin(); err != nil {
		return fmt.Errorf("control socket %d: %w", fd, err)
	}
	if err := Serve(ctx, all, cfg); !hostGone(err) {
		return err
	}
	return nil
}

// hosts accepts the streams of one session after the other. Another begins when the
// host says that the memory of this guest was restored: with the host of before every
// connection is gone that is remembered here.
type hosts struct {
	host    *control
	session *yamux.Session
	conn    *turn
}

func (s *hosts) begin() (err error) {
	s.conn = &turn{control: s.host}
	s.session, err = yamux.Server(s.conn, wire.MuxConfig())
	return err
}

// Accept implements net.Listener.
func (s *hosts) Accept() (net.Conn, error) {
	for {
		conn, err := s.session.Accept()
		if err == nil || !s.conn.renewed.Load() {
			return conn, err
		}
		<-s.session.CloseChan() // nothing more is written for the host of before
		if _, err := io.WriteString(s.host, wire.Renewal); err != nil {
			return nil, err
		}
		if err := s.begin(); err != nil {
			return nil, err
		}
	}
}

// Close implements net.Listener.
func (s *hosts) Close() error { return s.session.Close() }

// Addr implements net.Listener.
func (s *hosts) Addr() net.Addr { return s.session.Addr() }

// turn is the host's socket for the time of one session.
type turn struct {
	*control
	frames  wire.MuxFrames
	renewed atomic.Bool

	mu   sync.Mutex // held while something is written
	over bool
}

var errRenewed = errors.New("the host says that memory was restored")

// Read implements io.Reader. It reads ahead, but hands on no byte behind a frame.
func (t *turn) Read(b []byte) (int, error) {
	if t.frames.AtStart() {
		first, err := t.in.Peek(len(wire.Renewal))
		if string(first) == wire.Renewal {
			_, _ = t.in.Discard(len(first))
			t.renewed.Store(true)
			return 0, errRenewed
		}
		if err != nil {
			return 0, err
		}
	}
	n, err := t.in.Read(b[:min(len(b), t.frames.Ahead())])
	_ = t.frames.Follow(b[:n], func(*wire.MuxHead) error { return nil })
	return n, err
}

// Write implements io.Writer.
func (t *turn) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return 0, io.ErrClosedPipe
	}
	return t.control.Write(b)
}

// Close implements io.Closer. The socket stays for the next session, if there is one.
func (t *turn) Close() error {
	if !t.renewed.Load() {
		return t.control.Close()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	return nil
}

// hostGone tells the end of the host from faults on the way. A host that dies with
// unread bytes before it resets the connection.
func hostGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) ||
		errors.Is(err, yamux.ErrSessionShutdown)
}

// control is the host's socket.
type control struct {
	fd   int
	file *os.File
	in   *bufio.Reader // the multiplexer reads by 4 KiB, and each read of a socket is dear
}

// controlBuffer is how much is read of the socket at once, in bytes: what it holds.
const controlBuffer = 256 << 10

func newControl(fd int) *control {
	file := os.NewFile(uintptr(fd), "control")
	return &control{fd: fd, file: file, in: bufio.NewReaderSize(file, controlBuffer)}
}

func (c *control) Write(b []byte) (int, error) { return c.file.Write(b) }

// Close ends reads that are asleep too, which closing a blocking file does not.
func (c *control) Close() error {
	_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	return c.file.Close()
}
