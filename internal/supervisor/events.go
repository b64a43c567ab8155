package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/events"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// eventLog is where events go, and who follows them.
type eventLog struct {
	log       *events.Log // nil for one-shot runs, which nobody asks afterwards
	following atomic.Int64

	mu      sync.Mutex
	credit  int // how many events the guest may cause
	at      time.Time
	dropped int64
}

// openEvents opens the log of a workspace, and says how it came up.
func (s *supervisor) openEvents() (err error) {
	s.events.credit, s.events.at = guestEvents, s.Now()
	s.events.log, err = events.Open(s.held.Path())
	return err
}

// event notes something that was done to the workspace or happened in it. It fails
// nobody: where it cannot be written, as on a full disk, the newest few hundred are still
// seen by those who follow.
func (s *supervisor) event(kind api.EventKind, e api.Event) {
	if s.events.log == nil {
		return
	}
	e.Kind, e.At = kind, api.At(s.Now())
	for _, text := range []**string{&e.Name, &e.State, &e.Reason, &e.Command, &e.Path, &e.HostPath, &e.Detail} {
		if *text != nil {
			*text = new(s.redact(**text))
		}
	}
	_ = s.events.log.Append(e)
}

// How many events a guest may cause by itself: so many at once, and then one a second.
// More would push out what others did.
const guestEvents = 200

// guestEvent is event for what a guest does without having been asked to.
func (s *supervisor) guestEvent(kind api.EventKind, e api.Event) {
	allowed, dropped := s.events.spend(s.Now())
	if dropped > 0 {
		s.event(api.EventDropped, api.Event{Entries: &dropped})
	}
	if allowed {
		s.event(kind, e)
	}
}

// spend takes one of the events that the guest may cause. dropped is how many were left
// out before, where that is to be told now.
func (l *eventLog) spend(now time.Time) (allowed bool, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if more := int(now.Sub(l.at) / time.Second); more > 0 {
		l.credit, l.at = min(l.credit+more, guestEvents), now
	}
	if l.credit <= 0 {
		l.dropped++
		return false, 0
	}
	l.credit--
	dropped, l.dropped = l.dropped, 0
	return true, dropped
}

// eventCreated notes that a workspace was made, and of what.
func (s *supervisor) eventCreated() {
	seed := s.recorded().Seed
	s.event(api.EventCreated, api.Event{HostPath: seed.SeedPath, Entries: new(int64(seed.EntryCount)), Bytes: new(int64(seed.BytesWritten))})
}

// eventExec notes how a command ended.
func (s *supervisor) eventExec(e *api.LogEntry) {
	s.event(api.EventExecEnded, api.Event{
		Command: &e.Command, CommandSequence: &e.Sequence, ExitCode: &e.ExitCode, DurationMS: &e.DurationMS, Reason: e.Reason,
	})
}

// eventSecret notes that there is a secret, or none any more.
func (s *supervisor) eventSecret(name string, there bool) {
	kind := api.EventSecretUnset
	if there {
		kind = api.EventSecretSet
	}
	s.event(kind, api.Event{Name: &name})
}

// tellServices notes what has changed about services.
func (s *supervisor) tellServices(before, now []api.Service) {
	known := make(map[string]api.Service, len(before))
	for _, old := range before {
		known[old.ServiceName] = old
	}
	for _, one := range now {
		old, there := known[one.ServiceName]
		if there && old.State == one.State && old.RestartCount == one.RestartCount {
			continue
		}
		s.guestEvent(api.EventServiceChanged, api.Event{
			Name: &one.ServiceName, State: new(string(one.State)), Reason: one.StopReason, ExitCode: one.ExitCode, Command: &one.Command,
		})
	}
}

// tellShells notes which shells were opened and which have ended.
func (s *supervisor) tellShells(before, now []api.Shell) {
	ran := make(map[string]api.ShellState, len(before))
	for _, old := range before {
		ran[old.ShellID] = old.State
	}
	for _, one := range now {
		was, there := ran[one.ShellID]
		if !there {
			s.guestEvent(api.EventShellOpened, api.Event{Name: &one.ShellID})
		}
		if one.State == api.ShellStopped && was != api.ShellStopped {
			s.guestEvent(api.EventShellEnded, api.Event{Name: &one.ShellID, ExitCode: one.ExitCode})
		}
		delete(ran, one.ShellID)
	}
	for _, id := range slices.Sorted(maps.Keys(ran)) { // closed, and forgotten with that
		if ran[id] == api.ShellRunning {
			s.guestEvent(api.EventShellEnded, api.Event{Name: &id})
		}
	}
}

// endEvents says how the workspace ended, and lets those who follow go.
func (s *supervisor) endEvents() {
	if s.events.log == nil {
		return
	}
	switch {
	case s.why.remove && s.why.reason == workspace.ReasonExpired:
		s.event(api.EventExpired, api.Event{})
	case s.why.remove:
		s.event(api.EventDeleted, api.Event{})
	default:
		s.event(api.EventStopped, api.Event{Reason: &s.why.reason})
	}
	_ = s.events.log.Close()
}

// followersTime is how long those who follow may take to be told of the end.
const followersTime = time.Second

// awaitFollowers returns when all who follow have been told of the end, or take too long.
func (s *supervisor) awaitFollowers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followersTime)
	defer cancel()
	for s.events.following.Load() > 0 && ctx.Err() == nil {
		sys.Sleep(ctx, time.Millisecond)
	}
}

func (s *supervisor) routeEvents(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/events", s.serveEvents)
	mux.HandleFunc("POST /v1/events", s.serveTold)
	mux.HandleFunc("POST /v1/events/follow", s.serveFollowEvents)
	mux.HandleFunc("GET /v1/summary", s.serveSummary)
}

// after is the number of the last event that somebody has seen.
func after(r *http.Request) (int64, error) {
	text := r.URL.Query().Get("after")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("after %q is no number of an event", text)}
	}
	return n, nil
}

func (s *supervisor) serveEvents(w http.ResponseWriter, r *http.Request) {
	list := &api.EventList{WorkspaceID: s.ID, Events: []api.Event{}}
	from, err := after(r)
	if err == nil && s.events.log != nil {
		list.Events, err = events.Read(s.held.Path(), from)
	}
	list.Count = len(list.Events)
	s.answer(w, "read events", list, err)
}

// serveTold notes what a client did with what it got from here, which nobody else knows.
func (s *supervisor) serveTold(w http.ResponseWriter, r *http.Request) {
	const op = "note event"
	var e api.Event
	err := decode(w, r, &e)
	switch {
	case err != nil:
	case e.Kind != api.EventExported && e.Kind != api.EventApplied:
		err = &api.Error{Kind: api.Invalid, Err: fmt.Errorf("an event of kind %q is not for clients to tell", e.Kind)}
	default:
		err = s.sure(op)
	}
	if err == nil {
		s.event(e.Kind, api.Event{
			Name: e.Name, State: e.State, Path: e.Path, HostPath: e.HostPath, Entries: e.Entries, Bytes: e.Bytes, Detail: e.Detail,
		})
	}
	s.answer(w, op, struct{}{}, err)
}

// serveFollowEvents streams events, each a frame, until the workspace does not run any
// more or the client goes away.
func (s *supervisor) serveFollowEvents(w http.ResponseWriter, r *http.Request) {
	const op = "follow events"
	from, err := after(r)
	if err == nil && s.events.log == nil {
		err = &api.Error{Kind: api.Unsupported, Err: errors.New("a one-shot sandbox has no events")}
	}
	if err != nil {
		fail(w, api.About(op, s.ID, err))
		return
	}
	s.events.following.Add(1)
	defer s.events.following.Add(-1)
	pour(w, r, func(ctx context.Context, conn net.Conn) {
		s.followEvents(ctx, conn, from)
	})
}

func (s *supervisor) followEvents(ctx context.Context, conn net.Conn, from int64) {
	for {
		news, err := s.events.log.Since(from)
		if err != nil {
			s.sendFailure(conn, err)
			return
		}
		for _, e := range news.Events {
			if sendEvent(conn, e) != nil {
				return
			}
			from = e.Sequence
		}
		if news.More == nil {
			send(conn, wire.FrameExit, api.EventsEnd{WorkspaceID: s.ID, LastSequence: from})
			return
		}
		select {
		case <-news.More:
		case <-ctx.Done():
			return
		}
	}
}

// sendEvent sends one event. A client that takes none for long is given up.
func sendEvent(conn net.Conn, e api.Event) error {
	payload, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_ = conn.SetWriteDeadline(time.Now().Add(launchTime))
	return wire.WriteFrame(conn, wire.FrameStdout, payload)
}
