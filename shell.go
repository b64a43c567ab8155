package pyro

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const (
	opOpenShell   = "open shell"
	opListShells  = "list shells"
	opShellStatus = "status of shell"
	opReadShell   = "read shell"
	opWriteShell  = "write to shell"
	opSignalShell = "signal shell"
	opResizeShell = "resize shell"
	opCloseShell  = "close shell"
)

const (
	shellTime = 30 * time.Second // HUP, five seconds, KILL, five seconds, and the answer
	maxShells = 8 << 20          // api.MaxShells of them
	maxOutput = 64 << 20         // api.ShellBufferBytes, each byte escaped at the worst
)

// OpenShell starts an interactive shell on a terminal of its own. It lives until it ends
// by itself, is closed, or the workspace stops, whatever becomes of this program.
func (w *Workspace) OpenShell(ctx context.Context, req api.ShellOpenRequest) (*api.Shell, error) {
	if err := req.Check(); err != nil {
		return nil, api.About(opOpenShell, w.id, err)
	}
	w.reach(ctx)
	shell, err := send[api.Shell](ctx, w, question{op: opOpenShell, method: http.MethodPost, path: "/v1/shells", within: shellTime, limit: maxReply}, req)
	return shell, w.explain(ctx, opOpenShell, err)
}

// Shells returns the shells of the workspace, the oldest first, those that have ended and
// were not closed included. Where the workspace does not run, they are those that its
// record names.
func (w *Workspace) Shells(ctx context.Context) (*api.ShellList, error) {
	list, err := ask[api.ShellList](ctx, w.control, question{op: opListShells, method: http.MethodGet, path: "/v1/shells", within: answerTime, limit: maxShells})
	if !errors.Is(err, errAbsent) {
		return list, err
	}
	record, err := w.recorded(ctx)
	if err != nil {
		return nil, err
	}
	return record.ShellList(), nil
}

// recorded is the record of a workspace that no supervisor answers for.
func (w *Workspace) recorded(ctx context.Context) (*workspace.Record, error) {
	if _, err := workspace.Status(ctx, w.client.store, w.id); err != nil { // which settles what was lost
		return nil, err
	}
	record, err := workspace.Read(w.client.store, w.id)
	return &record, err
}

// Shell returns a shell as it is now.
func (w *Workspace) Shell(ctx context.Context, shell string) (*api.Shell, error) {
	now, err := ask[api.Shell](ctx, w.control, question{op: opShellStatus, method: http.MethodGet, path: shellPath(shell, ""), within: answerTime, limit: maxReply})
	return now, w.ofShell(ctx, opShellStatus, err)
}

// ReadShell returns a piece of what a shell has printed, at most MaxChars code points from
// Cursor on. Any number of readers may read the same. With WaitForIdleMS it waits until
// nothing was printed for so long, the piece is full, or the shell has ended; a shell that
// never rests keeps it until ctx ends.
func (w *Workspace) ReadShell(ctx context.Context, shell string, req api.ShellReadRequest) (*api.ShellRead, error) {
	if err := req.Check(); err != nil {
		return nil, api.About(opReadShell, shell, err)
	}
	query := url.Values{"cursor": {strconv.FormatInt(req.Cursor, 10)}}
	if req.MaxChars > 0 {
		query.Set("max_chars", strconv.Itoa(req.MaxChars))
	}
	if req.Plain {
		query.Set("plain", "true")
	}
	within := answerTime
	if idle := req.WaitForIdleMS; idle != nil {
		query.Set("wait_for_idle_ms", strconv.Itoa(*idle))
		within = idleTime
	}
	piece, err := ask[api.ShellRead](ctx, w.control, question{
		op: opReadShell, method: http.MethodGet, path: shellPath(shell, "/output?"+query.Encode()), within: within, limit: maxOutput,
	})
	return piece, w.ofShell(ctx, opReadShell, err)
}

// idleTime is how long a shell may go on printing while somebody waits for it to rest.
const idleTime = time.Hour

// WriteShell types into a shell. The answer says how much of the input the shell's
// terminal took.
func (w *Workspace) WriteShell(ctx context.Context, shell string, req api.ShellWriteRequest) (*api.ShellWrite, error) {
	if err := req.Check(); err != nil {
		return nil, api.About(opWriteShell, shell, err)
	}
	done, err := send[api.ShellWrite](ctx, w, question{op: opWriteShell, method: http.MethodPost, path: shellPath(shell, "/input"), within: shellTime, limit: maxReply}, req)
	return done, w.ofShell(ctx, opWriteShell, err)
}

// SignalShell sends HUP, INT, TERM or KILL to what runs in the foreground of a shell, or
// to the shell itself where nothing does.
func (w *Workspace) SignalShell(ctx context.Context, shell, signal string) (*api.ShellSignal, error) {
	req := api.ShellSignalRequest{Signal: signal}
	if err := req.Check(); err != nil {
		return nil, api.About(opSignalShell, shell, err)
	}
	done, err := send[api.ShellSignal](ctx, w, question{op: opSignalShell, method: http.MethodPost, path: shellPath(shell, "/signal"), within: shellTime, limit: maxReply}, req)
	return done, w.ofShell(ctx, opSignalShell, err)
}

// ResizeShell changes the size of a shell's terminal.
func (w *Workspace) ResizeShell(ctx context.Context, shell string, size api.TerminalSize) (*api.Shell, error) {
	if err := size.Check(); err != nil {
		return nil, api.About(opResizeShell, shell, err)
	}
	now, err := send[api.Shell](ctx, w, question{op: opResizeShell, method: http.MethodPost, path: shellPath(shell, "/resize"), within: shellTime, limit: maxReply}, size)
	return now, w.ofShell(ctx, opResizeShell, err)
}

// CloseShell ends a shell and all that it started, and forgets it: a second close is
// api.NotFound.
func (w *Workspace) CloseShell(ctx context.Context, shell string) (*api.ShellClose, error) {
	closed, err := ask[api.ShellClose](ctx, w.control, question{op: opCloseShell, method: http.MethodDelete, path: shellPath(shell, ""), within: shellTime, limit: maxReply})
	return closed, w.ofShell(ctx, opCloseShell, err)
}

// ofShell is explain, with the next step for a shell that is not there.
func (w *Workspace) ofShell(ctx context.Context, op string, err error) error {
	if errors.Is(err, api.NotFound) && api.HintOf(err) == "" {
		return &api.Error{Kind: api.NotFound, Hint: "`pyro workspace shell list " + w.id + "` shows those there are", Err: err}
	}
	return w.explain(ctx, op, err)
}

// shellPath is where a supervisor has a shell; the id may be anything that somebody typed.
func shellPath(shell, below string) string { return "/v1/shells/" + url.PathEscape(shell) + below }
