package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

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
	session, err := yamux.Server(newControl(fd), wire.MuxConfig())
	if err != nil {
		return fmt.Errorf("control socket %d: %w", fd, err)
	}
	if err = Serve(ctx, session, cfg); hostGone(err) {
		return nil
	}
	return err
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

func (c *control) Read(b []byte) (int, error)  { return c.in.Read(b) }
func (c *control) Write(b []byte) (int, error) { return c.file.Write(b) }

// Close ends reads that are asleep too, which closing a blocking file does not.
func (c *control) Close() error {
	_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	return c.file.Close()
}
