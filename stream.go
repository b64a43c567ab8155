package pyro

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// stream is one running command on a connection of its own.
type stream struct {
	id      string
	control *control
	request api.ExecRequest
	conn    net.Conn
	in      *bufio.Reader
	sending chan struct{} // holds one token while somebody writes a frame
	fed     chan error    // one value, when stdin has been passed on; nil without stdin
	done    chan struct{} // closed when the command's end is known, or that it will not be
	result  *api.WorkspaceExec
	err     error
}

// streams are the local ends of a command's streams; nil ones are empty.
type streams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	far            []io.Closer // those of them that are pipes, closed at the command's end
}

// openStream sends the request and waits until it has been taken.
func (w *Workspace) openStream(ctx context.Context, request api.ExecRequest) (*stream, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, api.About(opExec, w.id, err)
	}
	c, err := w.connect(ctx, question{op: opExec, method: http.MethodPost, path: "/v1/exec", body: body, within: answerTime})
	if err != nil {
		return nil, err
	}
	if !c.stop() { // from here on it is the stream's
		_ = c.conn.Close()
		return nil, ended(ctx, opExec, w.id)
	}
	return &stream{
		id: w.id, control: w.control, request: request, conn: c.conn, in: c.in,
		sending: make(chan struct{}, 1), done: make(chan struct{}),
	}, nil
}

// upgrade turns an HTTP connection into one of frames. By hand: the standard client
// gives no connection back whose reads can be bounded.
func (c *control) upgrade(ctx context.Context, q question, conn net.Conn) (*bufio.Reader, error) {
	r, err := c.request(ctx, q)
	if err != nil {
		return nil, api.About(q.op, c.id, err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", api.Frames)
	_ = conn.SetDeadline(time.Now().Add(q.within))
	if err := r.Write(conn); err != nil {
		return nil, c.failed(ctx, q, timedOut(err))
	}
	head := &io.LimitedReader{R: conn, N: maxReply}
	in := bufio.NewReaderSize(head, 64<<10)
	response, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, c.failed(ctx, q, timedOut(err))
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, c.notUpgraded(ctx, q, response)
	}
	_ = conn.SetDeadline(time.Time{})
	head.N = math.MaxInt64
	return in, nil
}

func (c *control) notUpgraded(ctx context.Context, q question, response *http.Response) error {
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode < 300 {
		return &api.Error{Kind: api.Unsupported, Op: q.op, ID: c.id, Hint: "make a new workspace", Err: errors.New("its supervisor does not stream")}
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return c.failed(ctx, q, timedOut(err))
	}
	return c.refused(q.op, response.StatusCode, data)
}

// timedOut gives a deadline of a connection the error of one of a context.
func timedOut(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}

// run passes bytes in both directions until the command ends or ctx does.
func (s *stream) run(ctx context.Context, local streams) {
	stop := context.AfterFunc(ctx, func() { // ends at once; both goroutines fail then
		_ = s.conn.Close()
		closeAll(local.far)
	})
	if local.stdin != nil {
		s.fed = make(chan error, 1)
		go func() { s.fed <- s.feed(local.stdin) }() // ends with stdin, or at its first read after the command's end
	}
	go func() { // ends with the last frame, or with the connection
		defer close(s.done)
		defer closeAll(local.far)
		defer stop()
		s.result, s.err = s.receive(local.stdout, local.stderr)
		_ = s.conn.Close()
		if s.result == nil && ctx.Err() != nil {
			s.err = ended(ctx, opExec, s.id)
		}
	}()
}

// receive writes output where it belongs until the frame that ends the stream. Of
// kinds of frames that it does not know, a newer supervisor may send some.
func (s *stream) receive(stdout, stderr io.Writer) (*api.WorkspaceExec, error) {
	var buf []byte
	for {
		_ = s.conn.SetReadDeadline(time.Now().Add(patience(s.request)))
		frame, err := wire.ReadFrame(s.in, &buf)
		if err != nil {
			return nil, s.broken(err)
		}
		switch frame.Type {
		case wire.FrameStdout:
			err = deliver(stdout, "stdout", frame.Payload)
		case wire.FrameStderr:
			err = deliver(stderr, "stderr", frame.Payload)
		case wire.FrameExit:
			return exited[api.WorkspaceExec](opExec, s.id, frame.Payload)
		case wire.FrameFail:
			return nil, failed(opExec, s.id, frame.Payload)
		}
		if err != nil {
			return nil, err
		}
	}
}

func deliver(w io.Writer, name string, p []byte) error {
	if w == nil {
		return nil
	}
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// exited is the answer in the frame that ends a stream.
func exited[T any](op, id string, payload []byte) (*T, error) {
	answer := new(T)
	if err := json.Unmarshal(payload, answer); err != nil {
		return nil, api.About(op, id, fmt.Errorf("exit frame: %w", err))
	}
	return answer, nil
}

// failed is the error in the frame that ends a stream.
func failed(op, id string, payload []byte) error {
	var reply api.ErrorReply
	if err := json.Unmarshal(payload, &reply); err != nil {
		return api.About(op, id, fmt.Errorf("failure frame: %w", err))
	}
	return reply.Err()
}

func (s *stream) broken(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &api.Error{
			Kind: api.Timeout, Op: opExec, ID: s.id, Hint: statusHint(s.id),
			Err: fmt.Errorf("nothing from the supervisor for %v", patience(s.request)),
		}
	case errors.Is(err, io.EOF):
		return s.control.lost(opExec, io.ErrUnexpectedEOF)
	case errors.Is(err, io.ErrUnexpectedEOF), sys.IsHangup(err):
		return s.control.lost(opExec, err)
	default:
		return api.About(opExec, s.id, err)
	}
}

// feed passes stdin on and then its end. That the command does not take it is no
// error: many do not read all they are given.
func (s *stream) feed(stdin io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := stdin.Read(buf)
		if n > 0 && s.send(wire.FrameStdin, buf[:n]) != nil {
			return nil
		}
		if err != nil {
			_ = s.send(wire.FrameStdin, nil)
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
				return nil
			}
			return fmt.Errorf("read stdin: %w", err)
		}
	}
}

// send writes one frame. After the end of the command it is os.ErrProcessDone.
func (s *stream) send(t wire.FrameType, payload []byte) error {
	select {
	case s.sending <- struct{}{}:
		defer func() { <-s.sending }()
	case <-s.done:
		return os.ErrProcessDone
	}
	if wire.WriteFrame(s.conn, t, payload) != nil {
		return os.ErrProcessDone // the connection has ended, and the command with it; Wait knows how
	}
	return nil
}

// signalNames are those of wire.Signal.
var signalNames = []string{"HUP", "INT", "QUIT", "TERM", "KILL", "USR1", "USR2"}

func (s *stream) signal(name string) error {
	short := strings.TrimPrefix(strings.ToUpper(name), "SIG")
	if !slices.Contains(signalNames, short) {
		return &api.Error{
			Kind: api.Invalid, Op: "signal command", Hint: "use one of " + strings.Join(signalNames, ", "),
			Err: fmt.Errorf("signal %q is unknown", name),
		}
	}
	payload, err := json.Marshal(wire.Signal{Name: short})
	if err != nil {
		return err
	}
	return s.send(wire.FrameSignal, payload)
}

func (s *stream) resize(size api.TerminalSize) error {
	payload, err := json.Marshal(size)
	if err != nil {
		return err
	}
	return s.send(wire.FrameResize, payload)
}

// stdinPatience is how long a reader may take to notice the end of the command.
const stdinPatience = 250 * time.Millisecond

// wait returns how the command ended, and if it succeeded what went wrong with its
// stdin.
func (s *stream) wait(stdin io.Reader) (*api.WorkspaceExec, error) {
	<-s.done
	if _, isFile := stdin.(*os.File); isFile || s.fed == nil {
		return s.result, s.err
	}
	patience := time.NewTimer(stdinPatience)
	defer patience.Stop()
	select {
	case err := <-s.fed:
		if s.err == nil {
			return s.result, err
		}
	case <-patience.C:
	}
	return s.result, s.err
}
