package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// stdinFrames are held for a command that does not read. When more come, no frame
// is read until it does, a signal behind them included.
const stdinFrames = 16

var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM,
	"KILL": syscall.SIGKILL, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

// frames writes one kind of frame.
type frames struct {
	conn net.Conn
	kind wire.FrameType
}

// Write implements io.Writer.
func (f frames) Write(b []byte) (int, error) {
	if err := wire.WriteFrame(f.conn, f.kind, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// stream runs a command and streams its output. The peer ends it by closing the
// connection. Writes wait for the peer as long as it likes: it may have stopped a
// pager, and the command is stopped with it.
func (a *agent) stream(ctx context.Context, conn net.Conn, r *bufio.Reader, req *wire.StreamRequest) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := io.Writer(frames{conn, wire.FrameStderr})
	var end ending
	c, err := a.streamed(req)
	if c.terminal != nil {
		errs = onTerminal{frames{conn, wire.FrameStdout}}
	}
	if err == nil {
		in := &input{conn: conn, r: r, gone: cancel}
		end, err = a.run(ctx, c, frames{conn, wire.FrameStdout}, errs, in.attach)
		in.stop()
	}
	if err != nil {
		end, err = unstarted(err, errs)
	}
	finish(conn, end, err)
}

// finish writes the last frame.
func finish(conn net.Conn, end ending, failure error) {
	kind, payload := wire.FrameExit, any(wire.Exit{
		Code: end.code, DurationMS: end.took.Milliseconds(), DurationUS: end.took.Microseconds(), Reason: end.reason,
	})
	if failure != nil {
		kind, payload = wire.FrameFail, wire.FailureOf(failure)
	}
	body, err := json.Marshal(payload)
	if err == nil && wire.WriteFrame(conn, kind, body) == nil {
		hangUp(conn)
	}
}

// streamed is the command of a request.
func (a *agent) streamed(req *wire.StreamRequest) (c command, err error) {
	switch {
	case len(req.Argv) > 0 && req.Command != "":
		return c, &api.Error{Kind: api.Invalid, Err: errors.New("argv and command are both given")}
	case len(req.Argv) > 0 && req.Argv[0] != "":
		c.argv = req.Argv
	case len(req.Argv) == 0 && req.Command != "":
		c.argv = []string{shell, "-lc", req.Command}
	default:
		return c, &api.Error{Kind: api.Invalid, Err: errors.New("no command is given")}
	}
	if req.TimeoutMS < 0 {
		return c, &api.Error{Kind: api.Invalid, Err: errors.New("timeout_ms is negative")}
	}
	c.timeout = time.Duration(min(req.TimeoutMS, maxTimeout.Milliseconds())) * time.Millisecond
	c.stdin = req.Stdin
	if c.terminal = req.TTY; c.terminal != nil {
		if err := checkSize(*c.terminal); err != nil {
			return c, err
		}
	}
	if c.env, err = a.environment(req.Env); err != nil {
		return c, err
	}
	if c.terminal != nil && c.env["TERM"] == "" {
		c.env["TERM"] = defaultTerm
	}
	cwd := req.Cwd
	if cwd == "" {
		cwd = wireRoot
	}
	c.dir, err = a.directory(cwd)
	return c, err
}

// input reads the frames that come for a command.
type input struct {
	conn net.Conn
	r    *bufio.Reader
	gone func() // called when the peer has closed the connection

	ended   chan struct{} // closed by stop
	readers sync.WaitGroup
	stdin   io.WriteCloser // nil: none is taken
}

// attach starts reading for p; stop ends it.
func (in *input) attach(p *process) {
	in.ended = make(chan struct{})
	switch {
	case p.stdin != nil && p.terminal != nil:
		in.stdin = &keyboard{to: p.stdin}
	case p.stdin != nil:
		in.stdin = p.stdin
	}
	data := make(chan []byte, stdinFrames)
	in.readers.Go(func() { // ends with the connection, at the latest by stop's deadline
		defer close(data)
		in.read(p, data)
	})
	if in.stdin != nil {
		in.readers.Go(func() { feed(in.stdin, data) }) // ends with read and the pipe
	}
}

// stop is called when the command has ended and its end of the pipe is closed.
func (in *input) stop() {
	if in.ended == nil {
		return
	}
	close(in.ended)
	_ = in.conn.SetReadDeadline(time.Unix(1, 0))
	in.readers.Wait()
}

func (in *input) read(p *process, data chan<- []byte) {
	for {
		var buf []byte // not shared between frames: feed keeps the payload
		f, err := wire.ReadFrame(in.r, &buf)
		select {
		case <-in.ended:
			return
		default:
		}
		if err != nil {
			in.gone()
			return
		}
		switch {
		case f.Type == wire.FrameStdin && in.stdin != nil:
			select {
			case data <- f.Payload:
			case <-in.ended:
				return
			}
		case f.Type == wire.FrameResize:
			p.resizeTo(f.Payload)
		case f.Type == wire.FrameSignal:
			var s wire.Signal
			_ = json.Unmarshal(f.Payload, &s) // what is no signal has no name
			if sig, ok := signals[s.Name]; ok {
				p.deliver(sig)
			}
		}
	}
}

// feed writes stdin until data is closed. A command that has closed its stdin is
// fine; the rest is dropped.
func feed(stdin io.WriteCloser, data <-chan []byte) {
	open := true
	for b := range data {
		switch {
		case !open:
		case len(b) == 0:
			_ = stdin.Close()
			open = false
		default:
			if _, err := stdin.Write(b); err != nil {
				_ = stdin.Close()
				open = false
			}
		}
	}
}
