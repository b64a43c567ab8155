package supervisor

import (
	"context"
	"errors"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// cleanupTime bounds what is done after the end has been decided, but for saving the
// disk.
const cleanupTime = 20 * time.Second

// ending is what happens to the workspace when its supervisor ends.
type ending struct {
	remove bool   // nothing stays, else it is stopped
	reason string // why it is stopped or gone
	save   bool   // the disk, first
	idle   bool   // only if nothing is done in it
}

// live answers the client and waits for the end.
func (s *supervisor) live(ctx context.Context, launch workspace.Launch, server *server) error {
	s.expiry = time.AfterFunc(maxExpiry, s.expire)
	s.setExpiry()
	defer s.expiry.Stop()
	serving := make(chan error, 1)
	go func() { serving <- server.serve(context.WithoutCancel(ctx)) }() // ends with server.close
	err := answer(s.Client, workspace.Launched{Workspace: s.view(), ControlSocket: s.path(ControlSocket), Hello: s.hello()})
	switch {
	case err != nil && launch.Start == nil: // it went away at the last moment
		s.finish(ending{remove: true})
	case s.Settle != nil:
		err = s.Settle(s.held.Path())
	}
	if launch.Lease {
		hangup := watchHangup(s.Client, func() { s.finish(ending{remove: true}) })
		defer hangup.Stop()
	} else {
		_ = s.Client.Close()
	}
	alive, stop := context.WithCancel(ctx)
	defer stop()
	go s.awaitSandbox(ctx)
	go s.saveOften(alive)
	go s.awaitIdle(alive)
	go s.watchServices(alive)
	select {
	case <-s.end:
	case <-ctx.Done():
		s.finish(ending{remove: s.kind == workspace.KindRun, reason: workspace.ReasonShutdown, save: true})
	}
	stop()
	s.outcome = s.conclude(context.WithoutCancel(ctx))
	close(s.gone)
	s.awaitFollowers(ctx)
	server.close()
	return errors.Join(err, s.outcome, <-serving)
}

// finish decides how it ends; only the first decision counts.
func (s *supervisor) finish(why ending) {
	s.endOnce.Do(func() {
		s.why = why
		close(s.end)
	})
}

// over reports whether the end has been decided.
func (s *supervisor) over() bool {
	select {
	case <-s.end:
		return true
	default:
		return false
	}
}

// wasStopped reports whether the end has been decided, and not by the sandbox's own.
func (s *supervisor) wasStopped() bool {
	return s.over() && s.why.reason != engine.EndedByLoss && s.why.reason != engine.EndedByOOM
}

// tooLate is the error of what came, or was done, after the end had been decided.
func (s *supervisor) tooLate(op string) error {
	const list = "`pyro workspace list` shows those there are"
	switch {
	case s.why.remove && s.why.reason == workspace.ReasonExpired:
		return &api.Error{Kind: api.Expired, Op: op, ID: s.ID, Hint: list, Err: errors.New("it has just expired")}
	case s.why.remove:
		return &api.Error{Kind: api.NotFound, Op: op, ID: s.ID, Hint: list, Err: errors.New("it was just deleted")}
	default:
		return &api.Error{
			Kind: api.Conflict, Op: op, ID: s.ID, Hint: "`pyro workspace start " + s.ID + "` starts it again",
			Err: errors.New("it was just stopped: " + s.why.reason),
		}
	}
}

// maxExpiry is how far ahead the timer is set: it counts time that the machine does
// not sleep, while the record names a time of day.
const maxExpiry = 5 * time.Second

// setExpiry sets the timer by the record.
func (s *supervisor) setExpiry() {
	expires := s.recorded().ExpiresAt
	if expires == nil {
		s.expiry.Stop()
		return
	}
	s.expiry.Reset(min(max(expires.Time().Sub(s.Now()), 0), maxExpiry))
}

// expire ends the workspace if its time is over, which may have been set anew since
// the timer was.
func (s *supervisor) expire() {
	s.mu.Lock()
	expired := s.record.Expired(s.Now())
	if expired { // with the record locked, so that an update comes before or is refused
		s.finish(ending{remove: true, reason: workspace.ReasonExpired})
	}
	s.mu.Unlock()
	if !expired {
		s.setExpiry()
	}
}

// awaitSandbox ends when the sandbox has ended that users mean.
func (s *supervisor) awaitSandbox(ctx context.Context) {
	var exit engine.Exit
	for b := (*box)(nil); b != s.box(); { // until that has ended which has no successor
		var err error
		b = s.box()
		if exit, err = b.Wait(context.WithoutCancel(ctx)); err != nil {
			return
		}
	}
	reason := exit.Reason
	if reason == "" {
		reason = engine.EndedByLoss // nobody had asked it to end
	}
	s.finish(ending{remove: s.kind == workspace.KindRun, reason: reason})
}

// awaitIdle stops the workspace when nothing was done in it for its idle time. It ends
// with ctx.
func (s *supervisor) awaitIdle(ctx context.Context) {
	idle := time.Duration(s.recorded().Request.IdleSeconds) * time.Second
	if idle == 0 || s.kind != workspace.KindWorkspace {
		return
	}
	s.use.last.CompareAndSwap(0, s.Now().UnixNano())
	failed := false
	for wait := idle; ctx.Err() == nil; sys.Sleep(ctx, wait) {
		since := s.Now().Sub(time.Unix(0, s.use.last.Load()))
		switch {
		case s.use.active.Load() > 0, s.recorded().RunsServices():
			wait = idle
		case since < idle:
			wait = idle - since
		default:
			err := s.stop(ctx, ending{reason: workspace.ReasonIdle, save: true, idle: true})
			if ctx.Err() != nil || err == nil && s.over() {
				return
			}
			wait = idle
			if err != nil { // its disk could not be saved: it goes on, and is tried again
				wait = max(idle, saveRetry)
				s.complain(!failed, err)
			}
			failed = err != nil
		}
	}
}

// stop saves the disk if that is asked for, and then decides the end. Where it cannot
// be saved, or ctx ends before it is, the workspace goes on as if nothing had been
// asked. Of two that stop it the second finds it stopped.
func (s *supervisor) stop(ctx context.Context, why ending) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.over() || why.idle && s.use.active.Load() > 0 {
		return nil
	}
	if why.save {
		ctx, cancel := s.untilOver(ctx)
		defer cancel()
		if err := s.saveWithin(ctx); err != nil {
			return err
		}
		why.save = false
	}
	why.remove = s.kind == workspace.KindRun
	s.finish(why)
	return nil
}

// untilOver is a context that ends when the end has been decided, too.
func (s *supervisor) untilOver(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with ctx
		select {
		case <-s.end:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// conclude ends the sandbox and frees what it had.
func (s *supervisor) conclude(ctx context.Context) error {
	fault.Hit("concluding")
	var unsaved error
	if s.why.save && !s.why.remove && s.unsaved() {
		unsaved = s.saveWithin(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, cleanupTime)
	defer cancel()
	defer s.endServices()
	if err := s.endSandboxes(ctx); err != nil {
		return err
	}
	fault.Hit("sandbox-stopped")
	if !s.why.remove {
		s.drain(ctx)
	}
	if settled, err := s.states.take(ctx); err == nil { // the same for snapshots and resets, as for saves:
		defer settled()
	}
	s.saving.Lock() // one under way fails, and removes what it wrote while it may
	defer s.saving.Unlock()
	defer s.close()
	if s.journal != nil {
		_ = s.journal.Close()
	}
	s.endEvents()
	if s.why.remove {
		if s.kind == workspace.KindWorkspace {
			_ = workspace.Bury(s.held, s.why.reason, s.Now())
		}
		return s.held.Remove(ctx)
	}
	s.note(func(r *workspace.Record) {
		r.State, r.Reason = api.StateStopped, s.why.reason
		r.EndServices(!s.wasStopped(), s.Now())
	})
	return errors.Join(unsaved, s.save(), s.held.Reap(ctx))
}

// drainTime is how long commands may take to write into the history how they ended.
const drainTime = 2 * time.Second

// drain waits until nothing is done any more in the workspace, whose sandbox is gone.
func (s *supervisor) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	for s.use.active.Load() > 0 && ctx.Err() == nil {
		sys.Sleep(ctx, drainPause)
	}
}

const drainPause = time.Millisecond
