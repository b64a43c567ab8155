package supervisor

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/plain"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// idlePoll is how often a reader who waits for silence looks.
const idlePoll = 50 * time.Millisecond

// newShellID is twelve hexadecimal digits, as ids of workspaces are.
func newShellID() string {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

func (s *supervisor) serveOpenShell(w http.ResponseWriter, r *http.Request) {
	var req api.ShellOpenRequest
	err := decode(w, r, &req)
	var shell *api.Shell
	if err == nil {
		shell, err = s.openShell(r.Context(), req)
	}
	s.answer(w, "open shell", shell, err)
}

func (s *supervisor) openShell(ctx context.Context, req api.ShellOpenRequest) (*api.Shell, error) {
	if err := req.Check(); err != nil {
		return nil, err
	}
	done, err := s.enter("open shell")
	if err != nil {
		return nil, err
	}
	defer done()
	s.touch()
	env, err := s.secretEnv(req.SecretEnv)
	if err != nil {
		return nil, err
	}
	id, begun := newShellID(), api.At(s.Now())
	opened, err := s.agent().OpenShell(ctx, wire.OpenShellRequest{
		ShellID: wire.LaxString(id), Cwd: wire.LaxString(cmp.Or(req.Cwd, api.WorkspacePath)),
		Cols: wire.LaxInt(cmp.Or(req.Cols, api.DefaultCols)), Rows: wire.LaxInt(cmp.Or(req.Rows, api.DefaultRows)), Env: env,
	})
	if err != nil {
		return nil, err
	}
	s.shellTimes.begin(id, begun)
	if err := s.refreshShells(ctx); err != nil {
		return nil, err
	}
	return s.shell(id, opened), s.save()
}

// shell is what the agent says of a shell as its owner sees it. Which one it is, and when
// something became of it, is not the agent's to say.
func (s *supervisor) shell(id string, r wire.ShellReply) *api.Shell {
	state := api.ShellStopped
	if r.State == wire.ShellRunning {
		state = api.ShellRunning
	}
	seen := s.shellTimes.see(id, api.At(s.Now()), false, state == api.ShellStopped)
	return &api.Shell{
		WorkspaceID: s.ID, ShellID: id, Cwd: s.said(r.Cwd), Cols: r.Cols, Rows: r.Rows, State: state,
		StartedAt: seen.begun, EndedAt: seen.ended, ExitCode: r.ExitCode, ExecutionMode: s.recorded().Engine.Mode,
	}
}

// refreshShells asks the agent for all shells and notes them.
func (s *supervisor) refreshShells(ctx context.Context) error {
	s.shells.Lock()
	defer s.shells.Unlock()
	b := s.box()
	list, err := b.agent().ListShells(ctx)
	if err != nil {
		return err
	}
	now := make([]api.Shell, 0, len(list.Shells))
	there := make(map[string]bool, len(list.Shells))
	for _, r := range list.Shells {
		if id := s.said(r.ShellID); !there[id] {
			there[id] = true
			now = append(now, *s.shell(id, r))
		}
	}
	s.shellTimes.keep(there)
	before := now // of a sandbox that was replaced nobody is told
	s.noteOf(b, func(r *workspace.Record) { before, r.Shells = r.Shells, now })
	s.tellShells(before, now)
	return nil
}

func (s *supervisor) serveShells(w http.ResponseWriter, r *http.Request) {
	err := s.refreshShells(r.Context())
	now := s.recorded()
	s.answer(w, "list shells", now.ShellList(), err)
}

func (s *supervisor) serveShell(w http.ResponseWriter, r *http.Request) {
	const op = "status of shell"
	err := s.refreshShells(r.Context())
	shells := s.recorded().Shells
	i := slices.IndexFunc(shells, func(shell api.Shell) bool { return shell.ShellID == r.PathValue("id") })
	if err == nil && i < 0 {
		err = &api.Error{Kind: api.NotFound, Hint: "`pyro workspace shell list " + s.ID + "` shows those there are", Err: fmt.Errorf("shell %q does not exist", r.PathValue("id"))}
	}
	if err != nil {
		s.answer(w, op, nil, err)
		return
	}
	reply(w, shells[i])
}

func (s *supervisor) serveReadShell(w http.ResponseWriter, r *http.Request) {
	req, err := readRequest(r.URL.Query())
	var read *api.ShellRead
	if err == nil {
		read, err = s.readShell(r.Context(), r.PathValue("id"), req)
	}
	s.answer(w, "read shell", read, err)
}

// readRequest is what a query asks for.
func readRequest(query url.Values) (api.ShellReadRequest, error) {
	req := api.ShellReadRequest{MaxChars: api.DefaultMaxChars, Plain: query.Get("plain") == "true"}
	var err error
	number := func(name string, into *int) {
		if text := query.Get(name); text != "" && err == nil {
			if *into, err = strconv.Atoi(text); err != nil {
				err = &api.Error{Kind: api.Invalid, Err: fmt.Errorf("%s %q is no number", name, text)}
			}
		}
	}
	var cursor, idle int
	number("cursor", &cursor)
	number("max_chars", &req.MaxChars)
	if query.Has("wait_for_idle_ms") {
		number("wait_for_idle_ms", &idle)
		req.WaitForIdleMS = &idle
	}
	req.Cursor = int64(cursor)
	if err == nil {
		err = req.Check()
	}
	return req, err
}

func (s *supervisor) readShell(ctx context.Context, id string, req api.ShellReadRequest) (*api.ShellRead, error) {
	got, err := s.readIdle(ctx, id, req)
	if err != nil {
		return nil, err
	}
	out := &api.ShellRead{
		Shell: *s.shell(id, got.ShellReply), Cursor: got.Cursor, NextCursor: got.NextCursor, Output: s.redact(got.Output),
		SkippedChars: max(got.SkippedChars, 0), Plain: req.Plain, WaitForIdleMS: req.WaitForIdleMS,
	}
	out.Truncated = got.Truncated || out.SkippedChars > 0
	if req.Plain { // of which a secret may be whole that control sequences had parted
		out.Output = s.redact(plain.Text(out.Output))
	}
	return out, nil
}

// readIdle reads when nothing new has come for as long as was asked for, when there is
// as much as was asked for, or when the shell has ended.
func (s *supervisor) readIdle(ctx context.Context, id string, req api.ShellReadRequest) (wire.ReadShellReply, error) {
	read := func() (wire.ReadShellReply, error) {
		return s.agent().ReadShell(ctx, wire.ReadShellRequest{
			ShellID: wire.LaxString(id), Cursor: wire.LaxInt(req.Cursor), MaxChars: wire.LaxInt(req.MaxChars),
		})
	}
	got, err := read()
	if req.WaitForIdleMS == nil {
		return got, err
	}
	idle := time.Duration(*req.WaitForIdleMS) * time.Millisecond
	since := time.Now()
	for err == nil && !got.Truncated && got.State == wire.ShellRunning && time.Since(since) < idle {
		sys.Sleep(ctx, min(idlePoll, idle-time.Since(since)))
		before := got.NextCursor
		if got, err = read(); got.NextCursor != before {
			since = time.Now()
		}
	}
	return got, err
}

func (s *supervisor) serveWriteShell(w http.ResponseWriter, r *http.Request) {
	var req api.ShellWriteRequest
	err := decode(w, r, &req)
	if err == nil {
		err = req.Check()
	}
	var done func()
	if err == nil {
		done, err = s.enter("write shell")
	}
	if err != nil {
		s.answer(w, "write shell", nil, err)
		return
	}
	defer done()
	s.touch()
	id := r.PathValue("id")
	got, err := s.agent().WriteShell(r.Context(), wire.WriteShellRequest{
		ShellID: wire.LaxString(id), Input: wire.LaxString(req.Input), AppendNewline: wire.LaxBool(req.AppendNewline),
	})
	if err != nil {
		s.answer(w, "write shell", nil, err)
		return
	}
	reply(w, api.ShellWrite{Shell: *s.shell(id, got.ShellReply), InputLength: got.InputLength, AppendNewline: req.AppendNewline})
}

func (s *supervisor) serveSignalShell(w http.ResponseWriter, r *http.Request) {
	var req api.ShellSignalRequest
	err := decode(w, r, &req)
	if err == nil {
		err = req.Check()
	}
	id := r.PathValue("id")
	var got wire.SignalShellReply
	if err == nil {
		got, err = s.agent().SignalShell(r.Context(), id, req.Signal)
	}
	if err != nil {
		s.answer(w, "signal shell", nil, err)
		return
	}
	reply(w, api.ShellSignal{Shell: *s.shell(id, got.ShellReply), Signal: req.Signal})
}

func (s *supervisor) serveResizeShell(w http.ResponseWriter, r *http.Request) {
	var size api.TerminalSize
	err := decode(w, r, &size)
	if err == nil {
		err = size.Check()
	}
	id := r.PathValue("id")
	var got wire.ShellReply
	if err == nil {
		got, err = s.agent().ResizeShell(r.Context(), id, size)
	}
	if err != nil {
		s.answer(w, "resize shell", nil, err)
		return
	}
	reply(w, s.shell(id, got))
}

// serveCloseShell ends a shell, also where the client goes away meanwhile.
func (s *supervisor) serveCloseShell(w http.ResponseWriter, r *http.Request) {
	ctx, id := context.WithoutCancel(r.Context()), r.PathValue("id")
	got, err := s.agent().CloseShell(ctx, id)
	if err != nil {
		s.answer(w, "close shell", nil, err)
		return
	}
	closed := api.ShellClose{Shell: *s.shell(id, got.ShellReply), Closed: true} // before it is forgotten
	if err = s.refreshShells(ctx); err == nil {
		err = s.save()
	}
	s.answer(w, "close shell", closed, err)
}

// serveAttachShell connects the client's terminal with a shell, frame by frame.
func (s *supervisor) serveAttachShell(w http.ResponseWriter, r *http.Request) {
	const op = "attach shell"
	var req api.ShellAttachRequest
	err := decode(w, r, &req)
	var done func()
	if err == nil {
		done, err = s.enter(op)
	}
	if err != nil {
		s.answer(w, op, nil, err)
		return
	}
	defer done()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	shell, err := s.agent().AttachShell(ctx, wire.AttachShellRequest{ShellID: r.PathValue("id"), Cursor: req.Cursor, Cols: req.Cols, Rows: req.Rows})
	if err != nil {
		s.answer(w, op, nil, err)
		return
	}
	defer func() { _ = shell.Close() }()
	conn, in, err := upgrade(w)
	if err != nil {
		fail(w, &api.Error{Kind: api.Internal, Err: err})
		return
	}
	defer func() { _ = conn.Close() }()
	go func() { // ends with the client's connection
		defer cancel()
		var buf []byte
		for {
			frame, err := wire.ReadFrame(in, &buf)
			if err != nil || frame.Type != wire.FrameStdin && frame.Type != wire.FrameResize || shell.WriteFrame(frame.Type, frame.Payload) != nil {
				return
			}
		}
	}()
	s.show(conn, shell)
}

// show passes on what a shell prints, until it has ended or the client goes away.
func (s *supervisor) show(conn net.Conn, shell *wire.Stream) {
	for {
		frame, err := shell.ReadFrame()
		switch {
		case err != nil:
			s.sendFailure(conn, s.lost(err))
			return
		case frame.Type == wire.FrameStdout:
			if wire.WriteFrame(conn, frame.Type, frame.Payload) != nil {
				return
			}
		case frame.Type == wire.FrameFail:
			s.sendFailure(conn, frame.Failure())
			return
		case frame.Type == wire.FrameExit:
			if exit, err := frame.Exit(); err != nil {
				s.sendFailure(conn, s.lost(err))
			} else {
				send(conn, wire.FrameExit, exit)
			}
			return
		}
	}
}
