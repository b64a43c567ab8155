package pyro

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/config"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const (
	opStart  = "start workspace"
	opStop   = "stop workspace"
	opUpdate = "update workspace"
	opLogs   = "logs of workspace"
)

// Start starts a stopped workspace with the disk that was saved last; one that runs
// is left as it is, and api.Conflict where another disk was asked for. Processes do not come back. It waits for somebody else who is just
// starting or stopping it.
func (c *Client) Start(ctx context.Context, id string, req api.StartRequest) (*Workspace, error) {
	if err := req.Check(); err != nil {
		return nil, api.About(opStart, id, err)
	}
	return c.start(ctx, workspace.KindWorkspace, id, req)
}

func (c *Client) start(ctx context.Context, kind workspace.Kind, id string, req api.StartRequest) (*Workspace, error) {
	if c.remote != nil {
		return c.remote.start(ctx, c, id, req)
	}
	waiting, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	for {
		ws, err := c.find(ctx, kind, id)
		if err != nil {
			return nil, err
		}
		busy := error(&api.Error{Kind: api.Unavailable, Op: opStart, ID: id, Hint: statusHint(id), Err: errAbsent})
		switch ws.seen.State {
		case api.StateStarted, api.StateCreated:
			if now, err := ws.Status(ctx); err == nil && now.AgentSocket != nil && now.Reason == nil {
				if err := startedBefore(id, req); err != nil {
					return nil, err
				}
				return c.attach(id, now), nil // it runs, and does not end just now
			}
		default:
			if ws, busy, err = c.startStopped(ctx, kind, id, req); busy == nil {
				return ws, err
			}
		}
		if !sys.Sleep(waiting, turnPause) {
			if ctx.Err() != nil {
				return nil, ended(ctx, opStart, id)
			}
			return nil, busy
		}
	}
}

// startedBefore refuses to leave a workspace that runs as it is where another state of it was
// asked for.
func startedBefore(id string, req api.StartRequest) error {
	if !req.Previous && req.Reset == "" {
		return nil
	}
	return &api.Error{
		Kind: api.Conflict, Op: opStart, ID: id, Hint: "`pyro workspace stop " + id + "` first, or `pyro workspace reset " + id + "`",
		Err: errors.New("it runs, and goes on from no other disk than its own"),
	}
}

// startStopped starts one that does not run. It is busy where somebody else has it.
func (c *Client) startStopped(ctx context.Context, kind workspace.Kind, id string, req api.StartRequest) (ws *Workspace, busy, err error) {
	s, err := c.spawn(id)
	if err != nil {
		return nil, nil, api.About(opStart, id, err)
	}
	defer func() { _ = s.conn.Close() }()
	launched, err := s.negotiate(ctx, opStart, workspace.Launch{Kind: kind, Start: &req}, nil)
	if err != nil {
		if launched != nil && launched.Held {
			return nil, err, nil
		}
		return nil, nil, err
	}
	return c.meet(id, launched), nil, nil
}

// How long a command waits for somebody else who is just starting or ending the
// workspace, or does something to it while it is stopped.
const (
	turnPatience = 30 * time.Second
	turnPause    = 20 * time.Millisecond
)

// isHeld reports whether somebody is at the workspace.
func (c *Client) isHeld(id string) bool {
	held, err := c.store.Running(id)
	return err == nil && held
}

// reach returns when a supervisor listens, or when there is none and none to come.
func (w *Workspace) reach(ctx context.Context) {
	if w.client.remote != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, w.client.patience)
	defer cancel()
	for !w.control.listens(ctx) && w.client.isHeld(w.id) && sys.Sleep(ctx, turnPause) {
	}
}

// Stop saves the disk of the workspace and then ends all that runs in it. Where the
// disk cannot be saved, or ctx ends before it is, it goes on running. Stopping a
// stopped one changes nothing.
func (w *Workspace) Stop(ctx context.Context, req api.StopRequest) (*api.Workspace, error) {
	w.reach(ctx)
	now, err := send[api.Workspace](ctx, w, question{op: opStop, method: http.MethodPost, path: "/v1/stop", within: saveTime, limit: maxReply}, req)
	absent := errors.Is(err, errAbsent)
	if !absent && !errors.Is(err, errCut) {
		return now, err
	}
	now, statusErr := workspace.Status(ctx, w.client.store, w.id)
	switch {
	case statusErr != nil:
		return nil, statusErr
	case now.State != api.StateStopped:
		return nil, err
	case absent || req.Discard || now.Reason == nil || *now.Reason != workspace.ReasonSupervisorLost:
		return now, nil
	}
	return nil, &api.Error{
		Kind: api.Unavailable, Op: opStop, ID: w.id, Hint: "`pyro workspace start " + w.id + "` brings back what was saved last",
		Err: errors.New("its supervisor was killed before the disk was saved: what was written since it was last saved is lost"),
	}
}

// Update changes what the workspace is called, its labels, and how long it lives.
func (w *Workspace) Update(ctx context.Context, req api.UpdateRequest) (*api.Workspace, error) {
	waiting, cancel := context.WithTimeout(ctx, w.client.patience)
	defer cancel()
	for {
		w.reach(waiting)
		now, err := send[api.Workspace](ctx, w, question{op: opUpdate, method: http.MethodPatch, path: "/v1/workspace", within: answerTime, limit: maxReply}, req)
		if errors.Is(err, errAbsent) {
			now, err = w.updateStopped(ctx, req)
		}
		// It has just been stopped or started, or somebody is at it: then it is another's
		// turn first. To say twice what it is called does no harm.
		if !errors.Is(err, api.Conflict) && !errors.Is(err, errCut) || !sys.Sleep(waiting, turnPause) {
			return now, err
		}
	}
}

func (w *Workspace) updateStopped(ctx context.Context, req api.UpdateRequest) (*api.Workspace, error) {
	cfg, err := config.Load(w.client.env.get)
	if err != nil {
		return nil, err
	}
	return workspace.Update(ctx, w.client.store, w.id, req, cfg.Policy())
}

// Logs returns the last commands of the workspace's history since it was last reset, the
// oldest first, or all of them for 0. It works on stopped workspaces too.
func (w *Workspace) Logs(ctx context.Context, last int) (*api.WorkspaceLogs, error) {
	return w.logs(ctx, last, false)
}

// History is Logs with what ran before resets, too: see [api.LogEntry.ResetCount].
func (w *Workspace) History(ctx context.Context, last int) (*api.WorkspaceLogs, error) {
	return w.logs(ctx, last, true)
}

func (w *Workspace) logs(ctx context.Context, last int, all bool) (*api.WorkspaceLogs, error) {
	query := url.Values{"last": {strconv.Itoa(last)}}
	if all {
		query.Set("all", "true")
	}
	logs, err := ask[api.WorkspaceLogs](ctx, w.control, question{
		op: opLogs, method: http.MethodGet, path: "/v1/logs?" + query.Encode(), within: logsTime, limit: maxLogs,
	})
	if !errors.Is(err, errAbsent) && !errors.Is(err, errCut) {
		return logs, err
	}
	return workspace.ReadLogs(ctx, w.client.store, w.id, last, all)
}

// send is ask with a body.
func send[T any](ctx context.Context, w *Workspace, q question, body any) (*T, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, api.About(q.op, w.id, err)
	}
	q.body = data
	return ask[T](ctx, w.control, q)
}
