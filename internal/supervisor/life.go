package supervisor

import (
	"context"
	"errors"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
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
}

// live answers the client and waits for the end.
func (s *supervisor) live(ctx context.Context, launch workspace.Launch, server *server) error {
	serving := make(chan error, 1)
	go func() { serving <- server.serve(context.WithoutCancel(ctx)) }() // ends with server.close
	s.expiry = time.AfterFunc(time.Hour, func() { s.finish(ending{remove: true, reason: workspace.ReasonExpired}) })
	s.setExpiry()
	defer s.expiry.Stop()
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
	select {
	case <-s.end:
	case <-ctx.Done():
		s.finish(ending{remove: s.kind == workspace.KindRun, reason: workspace.ReasonShutdown, save: true})
	}
	stop()
	s.outcome = s.conclude(context.WithoutCancel(ctx))
	close(s.gone)
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

// setExpiry sets the timer by the record.
func (s *supervisor) setExpiry() {
	expires := s.recorded().ExpiresAt
	if expires == nil {
		s.expiry.Stop()
		return
	}
	s.expiry.Reset(max(expires.Time().Sub(s.Now()), 0))
}

// awaitSandbox ends when the sandbox has ended.
func (s *supervisor) awaitSandbox(ctx context.Context) {
	exit, err := s.sandbox.Wait(context.WithoutCancel(ctx))
	if err != nil {
		return
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
	for wait := idle; ctx.Err() == nil; pause(ctx, wait) {
		since := s.Now().Sub(time.Unix(0, s.use.last.Load()))
		switch {
		case s.use.active.Load() > 0:
			wait = idle
		case since < idle:
			wait = idle - since
		case s.stop(ctx, api.StopRequest{}, workspace.ReasonIdle) == nil:
			return
		default: // its disk could not be saved: it goes on, and is tried again
			wait = max(idle, saveRetry)
		}
	}
}

// stop saves the disk and then decides the end. Where it cannot be saved, the
// workspace goes on as if nothing had been asked.
func (s *supervisor) stop(ctx context.Context, req api.StopRequest, reason string) error {
	if !req.Discard {
		if err := s.saveWithin(ctx); err != nil {
			return err
		}
	}
	s.finish(ending{remove: s.kind == workspace.KindRun, reason: reason})
	return nil
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
	if err := s.endSandbox(ctx); err != nil {
		return err
	}
	fault.Hit("sandbox-stopped")
	defer s.close()
	if s.journal != nil {
		_ = s.journal.Close()
	}
	if s.why.remove {
		if s.kind == workspace.KindWorkspace {
			_ = workspace.Bury(s.held, s.why.reason, s.Now())
		}
		return s.held.Remove(ctx)
	}
	s.note(func(r *workspace.Record) { r.State, r.Reason = api.StateStopped, s.why.reason })
	return errors.Join(unsaved, s.save(), s.held.Reap(ctx))
}

// endSandbox ends the sandbox at once: its disk is saved, or nobody wants it.
func (s *supervisor) endSandbox(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return s.sandbox.Stop(ctx)
}
