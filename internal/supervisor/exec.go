package supervisor

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// replyMargin is how much longer than the command's own timeout the host waits for
// the agent: the agent must have the first word, and commands that leave it no processor
// do not make it fast. Clients wait longer still.
const replyMargin = 20 * time.Second

// serveExec runs one command: captured, or streamed where the client upgrades.
func (s *supervisor) serveExec(w http.ResponseWriter, r *http.Request) {
	var req api.ExecRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	run, err := newRun(req)
	if err == nil {
		err = s.addSecrets(&run, req.SecretEnv)
	}
	if err != nil {
		fail(w, err)
		return
	}
	if r.Header.Get("Upgrade") == api.Frames {
		s.stream(r.Context(), w, run)
		return
	}
	if req.Stdin || req.TTY != nil {
		fail(w, &api.Error{Kind: api.Invalid, Err: errors.New("stdin and a terminal need a streamed exec")})
		return
	}
	c := newCapture(wire.MaxCapture)
	result, err := s.exec(r.Context(), run, c)
	if err != nil {
		fail(w, err)
		return
	}
	result.Stdout, result.StdoutTruncated = c.stdout.text()
	result.Stderr, result.StderrTruncated = c.stderr.text()
	reply(w, result)
	_ = http.NewResponseController(w).Flush()
	_ = s.save() // or with the next one: the client has its answer
}

// addSecrets puts the secrets that a command asks for into its environment, and takes
// those that it names itself out of what is shown and stored of it.
func (s *supervisor) addSecrets(run *run, asked map[string]string) error {
	env, err := s.secretEnv(asked)
	if err != nil {
		return api.About("exec", s.ID, err)
	}
	if len(env) > 0 {
		all := maps.Clone(run.request.Env)
		if all == nil {
			all = make(map[string]string)
		}
		maps.Copy(all, env)
		run.request.Env = all
	}
	run.shown, run.cwd = s.redact(run.shown), s.redact(run.cwd)
	return nil
}

// run is one command on its way.
type run struct {
	request wire.StreamRequest
	shown   string // the command as it is shown and stored
	cwd     string
	timeout time.Duration
}

// newRun checks a request.
func newRun(req api.ExecRequest) (run, error) {
	invalid := func(format string, args ...any) (run, error) {
		return run{}, &api.Error{Kind: api.Invalid, Err: fmt.Errorf(format, args...)}
	}
	if req.TimeoutSeconds == 0 {
		req.TimeoutSeconds = api.DefaultTimeoutSeconds
	}
	if req.Cwd == "" {
		req.Cwd = api.WorkspacePath
	}
	shown := req.Command
	if len(req.Argv) > 0 {
		shown = api.Quote(req.Argv)
	}
	switch {
	case (len(req.Argv) > 0) == (req.Command != ""):
		return invalid("exactly one of argv and command is needed")
	case len(req.Argv) > 0 && req.Argv[0] == "":
		return invalid("the program's name is empty")
	case req.TimeoutSeconds < 0:
		return invalid("timeout_seconds is %d, it must be greater than 0", req.TimeoutSeconds)
	case int64(req.TimeoutSeconds) > int64(maxTimeout/time.Second):
		return invalid("timeout_seconds is %d, allowed are 1 to %d", req.TimeoutSeconds, int64(maxTimeout/time.Second))
	case !strings.HasPrefix(req.Cwd, "/"):
		return invalid("cwd %q is not absolute", req.Cwd)
	case req.TTY != nil && req.TTY.Check() != nil:
		return run{}, req.TTY.Check()
	case strings.ContainsRune(shown+req.Cwd, 0):
		return invalid("a word of the command holds a zero byte")
	}
	timeout := time.Duration(req.TimeoutSeconds) * time.Second
	return run{
		shown: shown, cwd: req.Cwd, timeout: timeout,
		request: wire.StreamRequest{
			Action: wire.ActionStream, Argv: req.Argv, Command: req.Command, Cwd: req.Cwd,
			Env: req.Env, TimeoutMS: timeout.Milliseconds(), Stdin: req.Stdin, TTY: req.TTY,
		},
	}, nil
}

// maxTimeout keeps durations far from overflow.
const maxTimeout = 365 * 24 * time.Hour

// sink takes what a command prints. Frames come from the guest: their types are
// checked, their bytes are not.
type sink interface {
	output(t wire.FrameType, p []byte) error
}

// exec runs a command in the guest and passes its output to out, until it has
// ended. When ctx ends or out fails, the command is killed.
func (s *supervisor) exec(ctx context.Context, run run, out sink) (*api.WorkspaceExec, error) {
	e, err := s.begin(run)
	if err != nil {
		return nil, err
	}
	conn, err := e.dial(ctx, run)
	if err != nil {
		return nil, e.lost(err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { abandon(conn) })
	defer stop()
	return e.relay(ctx, conn, out)
}

// lastWords is how long the agent of an abandoned command may take to kill it and
// to say what became of it.
const lastWords = 10 * time.Second

// abandon tells the agent to kill a command, by closing our direction. Its own stays
// open for a while, since what happened belongs into the history.
func abandon(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(lastWords))
	_ = conn.Close()
}

// dial sends the request to the agent.
func (e *entry) dial(ctx context.Context, run run) (net.Conn, error) {
	line, err := json.Marshal(run.request)
	if err != nil {
		return nil, err
	}
	conn, err := e.box.Dial(ctx)
	if err != nil {
		return nil, err
	}
	if err = conn.SetDeadline(time.Now().Add(run.timeout + replyMargin)); err == nil {
		_, err = conn.Write(append(line, '\n'))
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// maxPiece is how much of a command's output is read at once, in bytes.
const maxPiece = 64 << 10

// relay passes frames on until the terminal one. The first terminal frame counts;
// anything else that a guest may send is a fault of the protocol. A client that takes
// no more is no reason not to see how the command ends.
func (e *entry) relay(ctx context.Context, conn net.Conn, out sink) (*api.WorkspaceExec, error) {
	visible := e.s.hide(both{e.kept, out})
	var left error
	var buf []byte
	in := bufio.NewReaderSize(conn, maxPiece)
	for {
		frame, err := wire.ReadFrame(in, &buf)
		if err != nil {
			if cause := cmp.Or(left, context.Cause(ctx)); cause != nil {
				_ = e.lost(err)
				return nil, &api.Error{Kind: api.Canceled, Op: "exec", ID: e.s.ID, Err: cause}
			}
			return nil, e.lost(err)
		}
		switch frame.Type {
		case wire.FrameStdout, wire.FrameStderr:
			if err := visible.output(frame.Type, frame.Payload); err != nil && left == nil {
				left, visible.to = err, e.kept
				abandon(conn)
			}
		case wire.FrameExit:
			_ = visible.flush() // a client that takes no more has the rest in the history
			return e.ended(frame)
		case wire.FrameFail:
			return nil, e.refusal(frame)
		default:
			return nil, e.lost(fmt.Errorf("unexpected frame %q", byte(frame.Type)))
		}
	}
}

// refusal is what the agent says of a request that it could not do at all.
func (e *entry) refusal(frame wire.Frame) error {
	said := frame.Failure()
	if errors.Is(said, wire.ErrProtocol) {
		return e.lost(said)
	}
	kind := api.Invalid
	if errors.Is(said, api.Unsupported) { // an older agent, perhaps
		kind = api.Unsupported
	}
	return e.refused(&api.Error{Kind: kind, Op: "exec", ID: e.s.ID, Err: errors.New(e.s.redact(said.Error()))})
}

// lost says that the agent or the whole sandbox does not answer any more.
func (s *supervisor) lost(err error) error {
	if errors.Is(err, errReset) {
		return api.About("exec", s.ID, err)
	}
	if s.wasStopped() {
		return s.tooLate("exec")
	}
	if wire.IsTimeout(err) {
		return &api.Error{Kind: api.Timeout, Op: "exec", ID: s.ID, Err: errors.New("the agent did not answer"), Hint: "delete the workspace if this goes on"}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("sandbox_lost: the sandbox ended while the command ran")
	}
	return &api.Error{Kind: api.Unavailable, Op: "exec", ID: s.ID, Err: err, Hint: "`pyro workspace status " + s.ID + "` says why"}
}
