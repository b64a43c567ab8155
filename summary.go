package pyro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const (
	opSummary      = "sum up workspace"
	opEvents       = "events of workspace"
	opFollowEvents = "follow events"
	opTellEvent    = "note event"

	maxEvents = 64 << 20 // what a log of events holds, with every field written out
)

// Summary is one screen about the workspace: what ran, what failed, what has changed. It
// works on stopped workspaces too; what has changed is not known there.
func (w *Workspace) Summary(ctx context.Context) (*api.Summary, error) {
	summary, err := ask[api.Summary](ctx, w.control, question{op: opSummary, method: http.MethodGet, path: "/v1/summary", within: logsTime, limit: maxServices})
	if !errors.Is(err, errAbsent) && !errors.Is(err, errCut) {
		return summary, err
	}
	return workspace.ReadSummary(ctx, w.client.store, w.id)
}

// Events returns what was done to the workspace and what happened in it, the oldest
// first: those after the event of that number, all that are kept for 0. The newest few
// thousand are kept. It works on stopped workspaces too.
func (w *Workspace) Events(ctx context.Context, after int64) (*api.EventList, error) {
	list, err := ask[api.EventList](ctx, w.control, question{op: opEvents, method: http.MethodGet, path: afterPath("/v1/events", after), within: logsTime, limit: maxEvents})
	if !errors.Is(err, errAbsent) && !errors.Is(err, errCut) {
		return list, err
	}
	return workspace.ReadEvents(ctx, w.client.store, w.id, after)
}

func afterPath(path string, after int64) string {
	return path + "?after=" + strconv.FormatInt(after, 10)
}

// FollowEvents calls each for every event after that of the number, as they come, until
// the workspace does not run any more; of one that does not run, for those that are kept.
// When ctx ends it returns an api.Error with ctx's error in its chain. An error of each
// ends it, and is returned.
func (w *Workspace) FollowEvents(ctx context.Context, after int64, each func(api.Event) error) error {
	c, err := w.connect(ctx, question{op: opFollowEvents, method: http.MethodPost, path: afterPath("/v1/events/follow", after), within: answerTime})
	if errors.Is(err, errAbsent) || w.client.remote != nil && errors.Is(err, api.Conflict) {
		return w.pastEvents(ctx, after, each)
	}
	if err != nil {
		return err
	}
	_, err = receive[api.EventsEnd](c, &eventWriter{op: opFollowEvents, id: w.id, each: each}, nil)
	if failed, ok := errors.AsType[*eachError](err); ok {
		return failed.err
	}
	return err
}

// pastEvents is FollowEvents for a workspace that does not run.
func (w *Workspace) pastEvents(ctx context.Context, after int64, each func(api.Event) error) error {
	list, err := w.Events(ctx, after)
	if err != nil {
		return err
	}
	for _, e := range list.Events {
		if err := each(e); err != nil {
			return err
		}
	}
	return nil
}

// eventWriter takes frames, each of which is an event.
type eventWriter struct {
	op, id string
	each   func(api.Event) error
}

// eachError is an error of the caller's function.
type eachError struct{ err error }

func (e *eachError) Error() string { return e.err.Error() }
func (e *eachError) Unwrap() error { return e.err }

// Write implements io.Writer.
func (w *eventWriter) Write(p []byte) (int, error) {
	var e api.Event
	if err := json.Unmarshal(p, &e); err != nil {
		return 0, &eachError{api.About(w.op, w.id, fmt.Errorf("event: %w", err))}
	}
	if err := w.each(e); err != nil {
		return 0, &eachError{err}
	}
	return len(p), nil
}

// tell notes in the log of a running workspace what was done with what came out of it.
// That it could not be noted is nobody's failure.
func (w *Workspace) tell(ctx context.Context, e api.Event) {
	_, _ = send[struct{}](ctx, w, question{op: opTellEvent, method: http.MethodPost, path: "/v1/events", within: answerTime, limit: maxReply}, e)
}
