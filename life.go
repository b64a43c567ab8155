package pyro

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/config"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const (
	opStart  = "start workspace"
	opStop   = "stop workspace"
	opUpdate = "update workspace"
	opLogs   = "logs of workspace"
)

// Start starts a stopped workspace with the disk that was saved last; one that runs
// is left as it is. Processes do not come back.
func (c *Client) Start(ctx context.Context, id string, req api.StartRequest) (*Workspace, error) {
	launch := workspace.Launch{Kind: workspace.KindWorkspace, Start: &req}
	for {
		ws, err := c.Get(ctx, id)
		if err != nil || ws.seen.State == api.StateStarted {
			return ws, err
		}
		s, err := c.spawn(id)
		if err != nil {
			return nil, about(opStart, id, err)
		}
		launched, err := s.negotiate(ctx, opStart, launch, nil)
		_ = s.conn.Close()
		switch {
		case err == nil:
			ws := c.attach(id, launched.Workspace)
			if launched.Hello != nil {
				_ = ws.control.meet(launched.Hello) // a refusal comes again with the first request
			}
			return ws, nil
		case !errors.Is(err, api.Conflict) || !c.isHeld(id):
			return nil, err
		}
		if !rest(ctx, deletePause) { // somebody else starts it, or has it for a moment
			return nil, ended(ctx, opStart, id)
		}
	}
}

// isHeld reports whether somebody is at the workspace.
func (c *Client) isHeld(id string) bool {
	held, err := c.store.Running(id)
	return err == nil && held
}

// rest waits, and reports whether ctx has not ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Stop saves the disk of the workspace and then ends all that runs in it. Where the
// disk cannot be saved it goes on running. Stopping a stopped one changes nothing.
func (w *Workspace) Stop(ctx context.Context, req api.StopRequest) (*api.Workspace, error) {
	now, err := send[api.Workspace](ctx, w, question{op: opStop, method: http.MethodPost, path: "/v1/stop", within: saveTime, limit: maxReply}, req)
	if !errors.Is(err, api.Unavailable) {
		return now, err
	}
	now, statusErr := workspace.Status(ctx, w.store, w.id)
	if statusErr == nil && now.State != api.StateStopped {
		return nil, err
	}
	return now, statusErr
}

// Update changes what the workspace is called, its labels, and how long it lives.
func (w *Workspace) Update(ctx context.Context, req api.UpdateRequest) (*api.Workspace, error) {
	now, err := send[api.Workspace](ctx, w, question{op: opUpdate, method: http.MethodPatch, path: "/v1/workspace", within: answerTime, limit: maxReply}, req)
	if !errors.Is(err, errAbsent) {
		return now, err
	}
	cfg, err := config.Load(w.client.env.get)
	if err != nil {
		return nil, err
	}
	return workspace.Update(ctx, w.store, w.id, req, cfg.Policy())
}

// Logs returns the last commands of the workspace's history, the oldest first, or all
// of it for 0. It works on stopped workspaces too.
func (w *Workspace) Logs(ctx context.Context, last int) (*api.WorkspaceLogs, error) {
	logs, err := ask[api.WorkspaceLogs](ctx, w.control, question{
		op: opLogs, method: http.MethodGet, path: "/v1/logs?last=" + strconv.Itoa(last), within: logsTime, limit: maxLogs,
	})
	if !errors.Is(err, errAbsent) {
		return logs, err
	}
	return workspace.ReadLogs(ctx, w.store, w.id, last)
}

// send is ask with a body.
func send[T any](ctx context.Context, w *Workspace, q question, body any) (*T, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, about(q.op, w.id, err)
	}
	q.body = data
	return ask[T](ctx, w.control, q)
}
