package supervisor

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/journal"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// endTime is how long somebody who asks in the middle of the end waits for it.
const endTime = 5 * time.Second

// serveStatus shows the workspace. One that is just ending is shown as it is then, or,
// where that takes its time, with the reason beside the old state.
func (s *supervisor) serveStatus(w http.ResponseWriter, r *http.Request) {
	if !s.over() {
		reply(w, s.view())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), endTime)
	defer cancel()
	now := s.recorded()
	select {
	case <-s.gone:
		now = s.recorded()
	case <-ctx.Done():
		now.Reason = s.why.reason
	}
	if s.why.remove {
		fail(w, s.tooLate("status of workspace"))
		return
	}
	reply(w, now.View(""))
}

// serveDelete answers when nothing is left but this process, which ends with the
// answer.
func (s *supervisor) serveDelete(w http.ResponseWriter, _ *http.Request) {
	const op = "delete workspace"
	s.finish(ending{remove: true, reason: api.ReasonExplicitDelete})
	<-s.gone
	switch {
	case s.outcome != nil:
		fail(w, api.About(op, s.ID, s.outcome))
	case !s.why.remove:
		fail(w, &api.Error{Kind: api.Conflict, Op: op, ID: s.ID, Err: errors.New("it was just stopping"), Hint: "try again"})
	default:
		reply(w, api.WorkspaceDelete{WorkspaceID: s.ID, Deleted: true, Reason: api.ReasonExplicitDelete})
	}
}

// serveStop answers when the disk is saved and the sandbox is gone; this process ends
// with the answer. A client that goes away before the disk is saved has called it off.
func (s *supervisor) serveStop(w http.ResponseWriter, r *http.Request) {
	const op = "stop workspace"
	var req api.StopRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	err := s.stop(r.Context(), ending{reason: workspace.ReasonStopped, save: !req.Discard})
	if err != nil && !s.over() {
		fail(w, err)
		return
	}
	<-s.gone
	switch {
	case s.outcome != nil:
		fail(w, api.About(op, s.ID, s.outcome))
	case s.why.remove, err != nil && s.why.reason != workspace.ReasonShutdown: // which has saved the disk itself
		fail(w, s.tooLate(op))
	default:
		now := s.recorded()
		reply(w, now.View(""))
	}
}

func (s *supervisor) serveUpdate(w http.ResponseWriter, r *http.Request) {
	const op = "update workspace"
	var req api.UpdateRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	var refused error
	var before workspace.Record
	s.note(func(r *workspace.Record) {
		if before = *r; s.over() {
			refused = s.tooLate(op)
		} else {
			refused = r.Apply(req, s.Policy, s.Now())
		}
	})
	if refused != nil {
		fail(w, api.About(op, s.ID, refused))
		return
	}
	if err := s.save(); err != nil { // what was refused must not come to count later
		s.note(func(r *workspace.Record) { r.Request, r.ExpiresAt = before.Request, before.ExpiresAt })
		fail(w, err)
		return
	}
	s.event(api.EventUpdated, api.Event{})
	s.setExpiry()
	reply(w, s.view())
}

// serveLogs answers with the last commands, or with all of them; those of before the last
// reset where all is asked for.
func (s *supervisor) serveLogs(w http.ResponseWriter, r *http.Request) {
	last := 0
	if text := r.URL.Query().Get("last"); text != "" {
		var err error
		if last, err = strconv.Atoi(text); err != nil || last < 0 {
			fail(w, &api.Error{Kind: api.Invalid, Err: errors.New("last is no number of commands")})
			return
		}
	}
	begun := s.unended() // before the reading, in which they may end
	all := r.URL.Query().Get("all") == "true"
	entries, err := journal.Read(s.held.Path(), last, workspace.Since(s.recorded().ResetCount, all))
	if err != nil {
		fail(w, &api.Error{Kind: api.Internal, Op: "read logs", ID: s.ID, Err: err})
		return
	}
	tellRunning(entries, begun)
	reply(w, workspace.Logs(s.ID, entries))
}
