package pyro

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// Workspace is a workspace that existed when it was asked for. It is made by
// [Client.Create] and [Client.Get], and may be used concurrently.
type Workspace struct {
	id      string
	seen    *api.Workspace
	client  *Client
	control *control
	lease   io.Closer // while it is open, a one-shot workspace lives; nil for others
}

func (c *Client) attach(id string, seen *api.Workspace) *Workspace {
	if c.remote != nil {
		return &Workspace{id: id, seen: seen, client: c, control: c.remote.control(id)}
	}
	socket := filepath.Join(c.store.RunDir(id), store.ControlSocket)
	return &Workspace{id: id, seen: seen, client: c, control: newControl(id, socket)}
}

// ID returns the id, 12 lower-case hex digits.
func (w *Workspace) ID() string { return w.id }

// Seen returns the workspace as it was when Create or Get returned it. The caller
// must not change it. For how it is now, use Status.
func (w *Workspace) Seen() *api.Workspace { return w.seen }

// Status returns the workspace as it is now; api.NotFound once it is deleted. Where
// no supervisor answers, it is what the record says.
func (w *Workspace) Status(ctx context.Context) (*api.Workspace, error) {
	now, err := ask[api.Workspace](ctx, w.control, question{
		op: "status of workspace", method: http.MethodGet, path: "/v1/workspace", within: answerTime, limit: maxReply,
	})
	if errors.Is(err, api.Unavailable) && w.client.remote == nil {
		return workspace.Status(ctx, w.client.store, w.id)
	}
	return now, err
}

// Exec runs a command and returns when it has ended, with at most 8 MiB of each of
// its streams: of more, head and tail, marked as truncated. A command that fails is
// not an error; look at ExitCode. When ctx ends first, the command is killed.
func (w *Workspace) Exec(ctx context.Context, request api.ExecRequest) (*api.WorkspaceExec, error) {
	w.reach(ctx)
	result, err := send[api.WorkspaceExec](ctx, w, question{
		op: opExec, method: http.MethodPost, path: "/v1/exec", within: patience(request), limit: maxCapture,
	}, request)
	return result, w.explain(ctx, opExec, err)
}

const opExec = "exec in workspace"

// patience is how long the end of a command may take: its own timeout strikes first.
func patience(request api.ExecRequest) time.Duration {
	timeout := request.TimeoutSeconds
	if timeout == 0 {
		timeout = api.DefaultTimeoutSeconds
	}
	const year = 365 * 24 * 60 * 60 // far from overflow
	return time.Duration(min(max(timeout, 0), year))*time.Second + execMargin
}

// explain says why nobody answered, if that is what happened: most often the
// workspace is stopped or deleted, and its record says so.
func (w *Workspace) explain(ctx context.Context, op string, err error) error {
	if !errors.Is(err, errAbsent) {
		return err
	}
	now, statusErr := workspace.Status(ctx, w.client.store, w.id)
	switch {
	case statusErr != nil:
		return statusErr
	case now.State == api.StateStarted || now.State == api.StateCreated:
		return err
	}
	cause := fmt.Errorf("it is %s", now.State)
	if now.Reason != nil {
		cause = fmt.Errorf("%w: %s", cause, *now.Reason)
	}
	hint := statusHint(w.id)
	if now.State == api.StateStopped {
		hint = "`pyro workspace start " + w.id + "` starts it again"
	}
	return &api.Error{Kind: api.Conflict, Op: op, ID: w.id, Hint: hint, Err: cause}
}

// deletePatience is how long Delete puts up with a workspace that is neither running
// nor free: its supervisor is starting or ending, or someone else is at it.
const deletePatience = 5 * time.Second

// Delete ends everything that runs in the workspace and removes it, in whatever
// state it is. When it returns without an error, nothing is left, and that has been
// verified. A workspace that somebody else has deleted is api.NotFound. To delete
// after a context has ended, use context.WithoutCancel.
func (w *Workspace) Delete(ctx context.Context) (*api.WorkspaceDelete, error) {
	if w.lease != nil {
		defer func() { _ = w.lease.Close() }()
	}
	if w.client.remote != nil {
		return ask[api.WorkspaceDelete](ctx, w.control, question{op: opDelete, method: http.MethodDelete, path: "/v1/workspace", within: remoteTime, limit: maxReply})
	}
	bounded, cancel := context.WithTimeout(ctx, deletePatience)
	defer cancel()
	heard := false // a supervisor got our request and went away before it answered
	for {
		deleted, err := w.tryDelete(ctx, &heard)
		switch {
		case errors.Is(err, api.Timeout) && ctx.Err() == nil:
			heard = true
			_ = workspace.Kill(ctx, w.client.store, w.id) // its sandbox goes with it; the rest is ours to free
		case !errors.Is(err, api.Conflict):
			return deleted, err
		}
		if !sys.Sleep(bounded, turnPause) {
			if ctx.Err() != nil {
				return nil, ended(ctx, opDelete, w.id)
			}
			return w.forceDelete(ctx, err)
		}
	}
}

// forceDelete is the last try: a supervisor holds the workspace and cannot be
// reached, because its socket was removed, or because it is stopped itself.
func (w *Workspace) forceDelete(ctx context.Context, busy error) (*api.WorkspaceDelete, error) {
	if workspace.Kill(ctx, w.client.store, w.id) != nil {
		return nil, busy
	}
	return workspace.Delete(ctx, w.client.store, w.id)
}

const opDelete = "delete workspace"

// tryDelete asks the supervisor, and where there is none does it itself.
func (w *Workspace) tryDelete(ctx context.Context, heard *bool) (*api.WorkspaceDelete, error) {
	deleted, err := ask[api.WorkspaceDelete](ctx, w.control, question{
		op: opDelete, method: http.MethodDelete, path: "/v1/workspace", within: deleteTime, limit: maxReply,
	})
	if !errors.Is(err, api.Unavailable) {
		return deleted, err
	}
	*heard = *heard || !errors.Is(err, errAbsent)
	deleted, err = workspace.Delete(ctx, w.client.store, w.id)
	if *heard && errors.Is(err, api.NotFound) {
		return &api.WorkspaceDelete{WorkspaceID: w.id, Deleted: true, Reason: api.ReasonExplicitDelete}, nil
	}
	return deleted, err
}
