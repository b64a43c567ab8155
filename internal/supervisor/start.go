package supervisor

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/journal"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// start makes everything, or undoes what it made.
func (s *supervisor) start(ctx context.Context, launch workspace.Launch, in *bufio.Reader) (*server, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if launch.Request.Seed == nil { // else the end of the seed's frames is what tells
		hangup := watchHangup(s.Client, func() { cancel(errClientGone) })
		defer hangup.Stop()
	}
	if launch.Start != nil {
		return s.restart(ctx, *launch.Start)
	}
	if launch.From != nil {
		return s.fork(ctx, launch)
	}
	return s.create(ctx, launch, in)
}

// heldError says that another process has the workspace's lock.
type heldError struct{ error }

// Unwrap returns what the store said.
func (e heldError) Unwrap() error { return e.error }

var errClientGone = &api.Error{Kind: api.Canceled, Err: errors.New("the client went away")}

// create makes a new workspace.
func (s *supervisor) create(ctx context.Context, launch workspace.Launch, in *bufio.Reader) (*server, error) {
	asked := launch.Request
	launch.Request = asked.WithDefaults(s.Policy)
	if err := workspace.Admit(launch.Request, s.Policy); err != nil {
		return nil, err
	}
	engines, err := s.choose(asked.Engine, asked.AllowHostCompat)
	if err != nil {
		return nil, err
	}
	create := s.Store.Create
	if s.kind == workspace.KindRun {
		create = s.Store.CreateVolatile // nobody will look for it after a power cut
	}
	if s.held, err = create(s.ID); err != nil {
		return nil, err
	}
	fault.Hit("created")
	server, err := s.make(ctx, launch, in, asked, engines)
	if err == nil {
		return server, nil
	}
	return nil, s.undo(ctx, "create workspace", err, s.held.Remove)
}

// undo ends what was started and lets free do the rest.
func (s *supervisor) undo(ctx context.Context, op string, err error, free func(context.Context) error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	err = errors.Join(err, s.endSandboxes(cleanup)) // there is nothing in them that anybody wants
	if s.journal != nil {
		_ = s.journal.Close()
	}
	if s.events.log != nil {
		_ = s.events.log.Close()
	}
	return errors.Join(api.About(op, s.ID, err), free(cleanup))
}

// make acquires, in this order: a place, record, run directory, uid, sandbox, seed,
// sockets.
func (s *supervisor) make(ctx context.Context, launch workspace.Launch, in *bufio.Reader, asked api.CreateRequest, engines []engine.Engine) (*server, error) {
	if err := s.reserve(); err != nil {
		return nil, err
	}
	myself, err := workspace.Myself()
	if err != nil {
		return nil, err
	}
	s.record = workspace.NewRecord(s.ID, launch, engines[0].Info(), s.Now())
	s.record.Supervisor = myself
	if err := workspace.Write(s.held, s.record); err != nil {
		return nil, err
	}
	fault.Hit("recorded")
	if err := s.keepSecrets(launch.Request.Secrets); err != nil {
		return nil, err
	}
	if err := s.bootAny(ctx, asked, engines); err != nil {
		return nil, err
	}
	fault.Hit("sandbox")
	if err := s.installSecrets(ctx, s.secrets.all()); err != nil {
		return nil, err
	}
	if launch.Request.Seed != nil {
		if err := s.seed(ctx, launch, in); err != nil {
			return nil, err
		}
		fault.Hit("seeded")
	}
	server, err := s.open(func(r *workspace.Record) { r.Engine = s.box().engine.Info() })
	if err == nil {
		s.eventCreated()
	}
	return server, err
}

// open makes a workspace with a sandbox usable.
func (s *supervisor) open(change func(*workspace.Record)) (*server, error) {
	s.note(change)
	if s.kind == workspace.KindWorkspace {
		var err error
		if s.journal, err = journal.Open(s.held.Path(), s.recorded().ResetCount); err != nil {
			return nil, err
		}
		if err = s.openEvents(); err != nil {
			return nil, err
		}
		// A supervisor that was killed may have begun commands that its record does not know.
		s.note(func(r *workspace.Record) { r.CommandCount = max(r.CommandCount, s.journal.LastSequence()) })
	}
	s.note(func(r *workspace.Record) {
		r.State, r.Reason, r.Limits = api.StateStarted, "", s.box().Limits()
	})
	if err := s.save(); err != nil {
		return nil, err
	}
	fault.Hit("started")
	s.saved = s.marks()
	server, err := s.listen()
	fault.Hit("sockets")
	return server, err
}

// reserve refuses one workspace too many. It counts itself, so of two that come at
// the same time for one place both may be refused, but never neither.
func (s *supervisor) reserve() error {
	running, err := s.Store.CountRunning()
	if err != nil || running <= s.Policy.Capacity {
		return err
	}
	return &api.Error{
		Kind: api.Conflict, Hint: "stop or delete one: `pyro workspace list` shows them",
		Err: fmt.Errorf("as many workspaces run as are allowed, %d", s.Policy.Capacity),
	}
}

// isolates reports whether what runs in an engine cannot reach the machine.
func isolates(e engine.Engine) bool { return e.Info().Isolation != "none" }

// choose returns the engines that may run a workspace, the best first. One that does
// not isolate is among them only with the consent of this very call.
func (s *supervisor) choose(name string, consent bool) ([]engine.Engine, error) {
	var names []string
	var fit []engine.Engine
	for _, e := range s.Engines {
		names = append(names, e.Info().Name)
		switch {
		case name != "" && name != e.Info().Name:
		case isolates(e) || consent:
			fit = append(fit, e)
		case name != "":
			return nil, &api.Error{
				Kind: api.Denied, Hint: "add --allow-host-compat if that is what you want",
				Err: fmt.Errorf("engine %s isolates nothing: commands would run on this machine as you", name),
			}
		}
	}
	if len(fit) == 0 {
		return nil, &api.Error{
			Kind: api.Invalid, Hint: "leave it out for the best one that works here",
			Err: fmt.Errorf("no engine %q; there are %s", name, strings.Join(names, ", ")),
		}
	}
	return fit, nil
}

// refuser is an engine that cannot do all that may be asked for.
type refuser interface {
	Refuse(asked api.CreateRequest) error
}

// bootAny starts the sandbox of a new workspace in the first engine that works.
func (s *supervisor) bootAny(ctx context.Context, asked api.CreateRequest, engines []engine.Engine) error {
	var failed error
	for i, e := range engines {
		err := s.bootIn(ctx, e, asked)
		if err == nil {
			return nil
		}
		failed = errors.Join(failed, err)
		if i+1 == len(engines) || !errors.Is(err, api.Unsupported) || ctx.Err() != nil {
			break
		}
		if err := s.held.Reap(ctx); err != nil {
			return errors.Join(failed, err)
		}
	}
	return failed
}

func (s *supervisor) bootIn(ctx context.Context, e engine.Engine, asked api.CreateRequest) error {
	if r, ok := e.(refuser); ok {
		if err := r.Refuse(asked); err != nil {
			return err
		}
	}
	return s.boot(ctx, e, saved{})
}

// boot starts the first sandbox, as it was saved or with an empty disk.
func (s *supervisor) boot(ctx context.Context, e engine.Engine, from saved) error {
	number, err := s.boxes.take(0)
	if err != nil {
		return err
	}
	b, err := s.startBox(ctx, e, number, from)
	if err != nil {
		b = nil // what it had is freed with the rest
	}
	s.boxes.give(number, b)
	s.boxes.current.Store(b)
	return err
}

// restart starts a workspace that is there.
func (s *supervisor) restart(ctx context.Context, req api.StartRequest) (*server, error) {
	const op = "start workspace"
	if err := s.hold(ctx); err != nil {
		return nil, err
	}
	held := s.held
	engines, err := s.choose(cmp.Or(s.record.Engine.Name, s.record.Request.Engine), req.AllowHostCompat)
	if err == nil {
		err = s.reserve()
	}
	if err != nil {
		return nil, errors.Join(api.About(op, s.ID, err), held.Unlock())
	}
	before := s.record
	server, err := s.remakeAny(ctx, req, engines)
	if err == nil {
		return server, nil
	}
	return nil, s.undo(ctx, op, err, func(ctx context.Context) error {
		defer func() { _ = held.Unlock() }()
		return errors.Join(held.Reap(ctx), workspace.Write(held, before))
	})
}

// remakeAny is remake in the first engine that works. What has run before has one alone.
func (s *supervisor) remakeAny(ctx context.Context, req api.StartRequest, engines []engine.Engine) (*server, error) {
	var failed error
	for i, e := range engines {
		server, err := s.remake(ctx, req, e)
		if err == nil {
			return server, nil
		}
		failed = errors.Join(failed, err)
		if i+1 == len(engines) || !errors.Is(err, api.Unsupported) || ctx.Err() != nil {
			break
		}
		if err := s.held.Reap(ctx); err != nil {
			return nil, errors.Join(failed, err)
		}
	}
	return nil, failed
}

// hold takes the lock of a workspace that is there and does not run, and reads its record.
func (s *supervisor) hold(ctx context.Context) error {
	held, err := s.Store.Lock(ctx, s.ID)
	if errors.Is(err, api.NotFound) {
		return workspace.Missing(s.Store, s.ID)
	} else if errors.Is(err, api.Conflict) {
		return heldError{err}
	} else if err != nil {
		return err
	}
	s.held = held
	if s.record, err = s.reclaim(ctx); err != nil {
		return errors.Join(err, held.Unlock())
	}
	return nil
}

// reclaim reads the record of a workspace that nobody holds any more, and frees what
// a killed supervisor left of it.
func (s *supervisor) reclaim(ctx context.Context) (workspace.Record, error) {
	r, err := workspace.Read(s.Store, s.ID)
	switch {
	case err != nil:
		return r, err
	case r.Kind != s.kind || r.Kind == workspace.KindRun || r.State == api.StateCreated:
		return r, &api.Error{Kind: api.NotFound, Op: "start workspace", ID: s.ID, Hint: "`pyro workspace list` shows those there are"}
	case r.Expired(s.Now()):
		_ = workspace.Bury(s.held, workspace.ReasonExpired, s.Now())
		return r, errors.Join(s.held.Remove(ctx), workspace.Missing(s.Store, s.ID))
	case r.State == api.StateStarted:
		return r, workspace.Settle(ctx, s.held, &r)
	}
	return r, s.held.Reap(ctx) // it may have been killed after the record said that it was stopped
}

// remake acquires for a workspace that was stopped what make does for a new one. The
// record says that it runs before anything is acquired, so that whoever finds it
// without a supervisor frees what it had.
func (s *supervisor) remake(ctx context.Context, req api.StartRequest, e engine.Engine) (*server, error) {
	if r, ok := e.(refuser); ok && s.record.NeverStarted() {
		if err := r.Refuse(s.record.Asked(s.Policy)); err != nil {
			return nil, err
		}
	}
	myself, err := workspace.Myself()
	if err != nil {
		return nil, err
	}
	running := s.record
	running.Supervisor, running.State, running.Reason = myself, api.StateStarted, ""
	running.EndServices(false, s.Now())
	if err := workspace.Write(s.held, running); err != nil {
		return nil, err
	}
	fault.Hit("restart-recorded")
	source, err := s.startFrom(req)
	if err != nil {
		return nil, err
	}
	if err := s.loadSecrets(); err != nil {
		return nil, err
	}
	if _, err := s.revive(ctx, e, source.Disk, source.Back, s.first); err != nil {
		return nil, err
	}
	fault.Hit("restart-sandbox")
	if err := s.installSecrets(ctx, s.secrets.all()); err != nil {
		return nil, err
	}
	from, err := s.adopt(ctx, req, source)
	if err != nil {
		return nil, err
	}
	server, err := s.open(func(r *workspace.Record) {
		r.Engine = e.Info()
		if r.Supervisor = myself; req.Reset != "" {
			r.Reset(from, s.Now())
			return
		}
		r.Disk, r.Proven, r.LastActivityAt = from, from, api.At(s.Now())
		r.EndServices(false, s.Now())
		r.Pushes = r.PushesIn(from)
	})
	if err == nil {
		s.event(api.EventStarted, api.Event{})
		if req.Reset != "" {
			s.event(api.EventReset, api.Event{Name: &req.Reset})
		}
		_ = workspace.PruneImages(s.held.Path(), &s.record) // or the next time
	}
	return server, err
}
