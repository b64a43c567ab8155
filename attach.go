package pyro

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const opAttachShell = "attach to shell"

// ShellAttachment joins a terminal with a shell. Nothing that goes through it is changed:
// the terminal is expected to be in raw mode, and what a guest prints may do to it what
// terminals let programs do.
type ShellAttachment struct {
	// Stdin is what is typed; nil: nothing. Its end ends nothing. It is read ahead, and a
	// Read that is under way when AttachShell returns goes on: what it returns is lost.
	Stdin io.Reader

	// Stdout gets what the shell prints. A Write that blocks holds the shell up for a
	// moment, and then this attachment alone falls behind. nil discards.
	Stdout io.Writer

	// Cursor is from where on the shell's output is wanted, in code points as in
	// api.ShellRead; -1: only what is printed from now on.
	Cursor int64

	// Size is the terminal's, and Resize tells of its changes. A zero Size leaves the
	// shell's as it is; nil Resize never changes it. AttachShell stops receiving when it
	// returns.
	Size   api.TerminalSize
	Resize <-chan api.TerminalSize
}

// AttachShell joins a terminal with a shell until the shell has ended, and returns it as it
// is then. When ctx ends, it returns an api.Error with ctx's error in its chain, and the
// shell goes on. Several may be attached to one shell: each sees all, and what they type
// comes as it comes.
func (w *Workspace) AttachShell(ctx context.Context, shell string, with ShellAttachment) (*api.Shell, error) {
	body, err := json.Marshal(api.ShellAttachRequest{Cursor: with.Cursor, Cols: with.Size.Cols, Rows: with.Size.Rows})
	if err != nil {
		return nil, api.About(opAttachShell, w.id, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := w.connect(ctx, question{op: opAttachShell, method: http.MethodPost, path: shellPath(shell, "/attach"), body: body, within: answerTime})
	if err != nil {
		return nil, w.ofShell(ctx, opAttachShell, err)
	}
	if with.Stdin != nil {
		go c.feed(with.Stdin) // ends with stdin, or at its first read after the connection's end
	}
	resizing := make(chan struct{})
	go func() { // ends with ctx
		defer close(resizing)
		c.resize(ctx, with.Resize)
	}()
	last, err := receive[api.Shell](c, with.Stdout, nil)
	cancel()
	<-resizing
	if err == nil && last.ShellID == "" { // it was not said how the shell is then
		return w.Shell(context.WithoutCancel(ctx), shell)
	}
	return last, err
}

// connection is one of frames with a supervisor, with an operation of its own.
type connection struct {
	ctx  context.Context // its end closes the connection
	op   string
	id   string
	to   *control
	conn net.Conn
	in   *bufio.Reader
	stop func() bool // does not close it any more
}

// connect puts a question whose answer is frames. With the end of ctx the connection ends.
func (w *Workspace) connect(ctx context.Context, q question) (*connection, error) {
	w.reach(ctx)
	if err := w.control.greet(ctx, q.within); err != nil {
		return nil, err
	}
	conn, err := w.control.dial(ctx)
	if err != nil {
		return nil, w.control.failed(ctx, q, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends at once
	in, err := w.control.upgrade(ctx, q, conn)
	if ctx.Err() != nil {
		err = ended(ctx, q.op, w.id)
	}
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, err
	}
	return &connection{ctx: ctx, op: q.op, id: w.id, to: w.control, conn: conn, in: in, stop: stop}, nil
}

// feed passes on what is typed.
func (c *connection) feed(stdin io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := stdin.Read(buf)
		if n > 0 && wire.WriteFrame(c.conn, wire.FrameStdin, buf[:n]) != nil || err != nil {
			return
		}
	}
}

// resize passes on changes of the terminal's size.
func (c *connection) resize(ctx context.Context, sizes <-chan api.TerminalSize) {
	for {
		select {
		case size, ok := <-sizes:
			payload, err := json.Marshal(size)
			if !ok || err != nil || wire.WriteFrame(c.conn, wire.FrameResize, payload) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// receive writes output where it belongs until the frame that ends it all, and closes the
// connection. It has no deadline: what the other side shows may be silent for days, and
// where that is gone the connection ends.
func receive[T any](c *connection, stdout, stderr io.Writer) (*T, error) {
	defer func() { c.stop(); _ = c.conn.Close() }()
	var buf []byte
	for {
		frame, err := wire.ReadFrame(c.in, &buf)
		if err != nil {
			return nil, c.broken(err)
		}
		switch frame.Type {
		case wire.FrameStdout:
			err = deliver(stdout, "stdout", frame.Payload)
		case wire.FrameStderr:
			err = deliver(stderr, "stderr", frame.Payload)
		case wire.FrameExit:
			return exited[T](c.op, c.id, frame.Payload)
		case wire.FrameFail:
			return nil, failed(c.op, c.id, frame.Payload)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (c *connection) broken(err error) error {
	switch {
	case c.ctx.Err() != nil:
		return ended(c.ctx, c.op, c.id)
	case errors.Is(err, io.EOF):
		return c.to.lost(c.op, io.ErrUnexpectedEOF)
	case errors.Is(err, io.ErrUnexpectedEOF), sys.IsHangup(err):
		return c.to.lost(c.op, err)
	default:
		return api.About(c.op, c.id, err)
	}
}
