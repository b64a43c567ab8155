package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// replyMargin is how much longer than the command's own timeout the host waits for
// the agent: the agent must have the first word.
const replyMargin = 10 * time.Second

// serveExec runs one command: captured, or streamed where the client upgrades.
func (s *supervisor) serveExec(w http.ResponseWriter, r *http.Request) {
	var req api.ExecRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	run, err := newRun(req)
	if err != nil {
		fail(w, err)
		return
	}
	if r.Header.Get("Upgrade") == api.Frames {
		s.stream(r.Context(), w, run)
		return
	}
	if req.Stdin {
		fail(w, &api.Error{Kind: api.Invalid, Err: errors.New("stdin needs a streamed exec")})
		return
	}
	var c capture
	result, err := s.exec(r.Context(), run, &c)
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
	case strings.ContainsRune(shown+req.Cwd, 0):
		return invalid("a word of the command holds a zero byte")
	}
	timeout := time.Duration(req.TimeoutSeconds) * time.Second
	return run{
		shown: shown, cwd: req.Cwd, timeout: timeout,
		request: wire.StreamRequest{
			Action: wire.ActionStream, Argv: req.Argv, Command: req.Command, Cwd: req.Cwd,
			Env: req.Env, TimeoutMS: timeout.Milliseconds(), Stdin: req.Stdin,
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
	conn, err := s.open(ctx, run)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { abandon(conn) })
	defer stop()
	return s.relay(ctx, run, conn, out)
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

// open sends the request to the agent.
func (s *supervisor) open(ctx context.Context, run run) (net.Conn, error) {
	line, err := json.Marshal(run.request)
	if err != nil {
		return nil, err
	}
	conn, err := s.sandbox.Dial(ctx)
	if err != nil {
		return nil, s.lost(err)
	}
	if err = conn.SetDeadline(time.Now().Add(run.timeout + replyMargin)); err == nil {
		_, err = conn.Write(append(line, '\n'))
	}
	if err != nil {
		_ = conn.Close()
		return nil, s.lost(err)
	}
	return conn, nil
}

// relay passes frames on until the terminal one. The first terminal frame counts;
// anything else that a guest may send is a fault of the protocol.
func (s *supervisor) relay(ctx context.Context, run run, conn net.Conn, out sink) (*api.WorkspaceExec, error) {
	var buf []byte
	for {
		frame, err := wire.ReadFrame(conn, &buf)
		if err != nil {
			if ctx.Err() != nil {
				return nil, &api.Error{Kind: api.Canceled, Op: "exec", ID: s.ID, Err: context.Cause(ctx)}
			}
			return nil, s.lost(err)
		}
		switch frame.Type {
		case wire.FrameStdout, wire.FrameStderr:
			if err := out.output(frame.Type, frame.Payload); err != nil {
				return nil, &api.Error{Kind: api.Canceled, Op: "exec", ID: s.ID, Err: err}
			}
		case wire.FrameExit:
			return s.ended(run, frame.Payload)
		case wire.FrameFail:
			return nil, s.refused(frame.Payload)
		default:
			return nil, s.lost(fmt.Errorf("unexpected frame %q", byte(frame.Type)))
		}
	}
}

// ended turns the agent's word into a result and notes it; the caller saves it when
// the client has its answer. It is the guest's word: nothing on the host depends on it.
func (s *supervisor) ended(run run, payload []byte) (*api.WorkspaceExec, error) {
	var exit wire.Exit
	if err := json.Unmarshal(payload, &exit); err != nil {
		return nil, s.lost(fmt.Errorf("exit frame: %w", err))
	}
	if exit.Code < -64 || exit.Code > 255 || exit.DurationMS < 0 {
		return nil, s.lost(fmt.Errorf("exit frame: code %d after %d ms", exit.Code, exit.DurationMS))
	}
	var result *api.WorkspaceExec
	s.note(func(r *workspace.Record) {
		r.Ran(api.LastCommand{
			Sequence: r.CommandCount + 1, Command: run.shown, Cwd: run.cwd, ExitCode: exit.Code,
			DurationMS: exit.DurationMS, ExecutionMode: r.Mode(),
		}, s.Now())
		result = &api.WorkspaceExec{
			WorkspaceID: s.ID, Environment: r.Request.Environment, Command: run.shown, ExitCode: exit.Code,
			DurationMS: exit.DurationMS, ExecutionMode: r.Mode(), Sequence: r.CommandCount, Cwd: run.cwd,
			Reason: knownReason(exit.Reason),
		}
	})
	return result, nil
}

// knownReason lets nothing through that the guest made up.
func knownReason(reason string) *string {
	switch reason {
	case api.EndedByTimeout, api.EndedByOOM, api.EndedByCancel:
		return &reason
	default:
		return nil
	}
}

// refused is a request that the agent could not do at all.
func (s *supervisor) refused(payload []byte) error {
	var failure wire.Failure
	if err := json.Unmarshal(payload, &failure); err != nil {
		return s.lost(fmt.Errorf("failure frame: %w", err))
	}
	kind := api.Invalid
	if api.Kind(failure.Kind) == api.Unsupported { // an older agent, perhaps
		kind = api.Unsupported
	}
	return &api.Error{Kind: kind, Op: "exec", ID: s.ID, Err: errors.New(clip(failure.Error))}
}

// maxGuestText bounds what of a guest's error text is passed on, in bytes.
const maxGuestText = 4096

func clip(text string) string {
	if len(text) > maxGuestText {
		return text[:maxGuestText] + " … (truncated)"
	}
	return text
}

// lost says that the agent or the whole sandbox does not answer any more.
func (s *supervisor) lost(err error) error {
	if isTimeout(err) {
		return &api.Error{Kind: api.Timeout, Op: "exec", ID: s.ID, Err: errors.New("the agent did not answer"), Hint: "delete the workspace if this goes on"}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("sandbox_lost: the sandbox ended while the command ran")
	}
	return &api.Error{Kind: api.Unavailable, Op: "exec", ID: s.ID, Err: err, Hint: "`pyro workspace status " + s.ID + "` says why"}
}
