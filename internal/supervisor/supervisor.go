// Package supervisor is the host process of one running workspace.
//
// It is started by a client with one end of a socketpair as descriptor 3, reads
// what is wanted from it, makes the sandbox, and answers once. From then on it
// holds the workspace's lock, is the only writer of its record, and serves the
// HTTP API on control.sock and the bridge to the agent on agent.sock, until the
// workspace is deleted, expires, loses its sandbox, or, with a lease, until the
// client goes away. What a supervisor leaves when it is killed is freed from the
// ledger by whoever comes next.
//
// It knows engines only through their contract, and neither images nor command
// lines.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// The sockets of a running workspace, in its run directory.
const (
	ControlSocket = "control.sock"
	AgentSocket   = "agent.sock"
)

// reasonStopped is why a workspace is stopped whose supervisor was asked to end.
const reasonStopped = "supervisor_stopped"

// cleanupTime bounds what is done after the end has been decided.
const cleanupTime = 20 * time.Second

// Config is what a supervisor needs to know.
type Config struct {
	ID       string
	Client   net.Conn // descriptor 3; Run closes it
	Store    *store.Store
	Engine   engine.Engine
	Agent    string // path of the static agent
	Capacity int    // workspaces that may run at once in this state directory
	Version  string
	Now      func() time.Time

	// Settle is called with the workspace's directory when the client has its
	// answer, and from then on nobody looks at this process's output; may be nil.
	Settle func(dir string) error
}

// supervisor is a running workspace.
type supervisor struct {
	Config
	kind    workspace.Kind
	held    *store.Workspace
	sandbox engine.Sandbox

	mu     sync.Mutex
	record workspace.Record // changed by note, written by save
	dirty  bool             // record is newer than what is on disk
	closed bool             // the lock is given up, and with it the right to write

	// end is closed by the first who decides that it is over; why says what is to
	// be done then, and gone is closed when it has been done.
	end     chan struct{}
	endOnce sync.Once
	why     ending
	gone    chan struct{}
	outcome error
}

// ending is what happens to the workspace when its supervisor ends.
type ending struct {
	remove bool   // nothing stays, else it is stopped
	reason string // why it is stopped
}

// Run supervises one workspace to its end. An error before the workspace was ready
// has been told to the client, and nothing of the workspace is left.
func Run(ctx context.Context, cfg Config) error {
	defer func() { _ = cfg.Client.Close() }()
	launch, err := readLaunch(cfg.Client)
	if err != nil {
		return errors.Join(err, Refuse(cfg.Client, err))
	}
	s := &supervisor{Config: cfg, kind: launch.Kind, end: make(chan struct{}), gone: make(chan struct{})}
	server, err := s.start(ctx, launch)
	if err != nil {
		return errors.Join(err, Refuse(cfg.Client, err))
	}
	return s.live(ctx, launch, server)
}

// Refuse tells the client why there will be no workspace.
func Refuse(client net.Conn, why error) error {
	reply := api.ReplyTo(why)
	return answer(client, workspace.Launched{Error: &reply})
}

// start makes everything, or undoes what it made.
func (s *supervisor) start(ctx context.Context, launch workspace.Launch) (*server, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hangup := watchHangup(s.Client, func() { cancel(errClientGone) })
	defer hangup.Stop()
	if err := admit(launch); err != nil {
		return nil, err
	}
	create := s.Store.Create
	if s.kind == workspace.KindRun {
		create = s.Store.CreateVolatile // nobody will look for it after a power cut
	}
	held, err := create(s.ID)
	if err != nil {
		return nil, err
	}
	s.held = held
	fault.Hit("created")
	server, err := s.make(ctx, launch)
	if err == nil {
		return server, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cleanup, cancelCleanup := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancelCleanup()
	if s.sandbox != nil {
		err = errors.Join(err, s.sandbox.Stop(cleanup))
	}
	return nil, errors.Join(&api.Error{Kind: api.KindOf(err), Op: "create workspace", ID: s.ID, Hint: api.HintOf(err), Err: err}, held.Remove(cleanup))
}

var errClientGone = &api.Error{Kind: api.Canceled, Err: errors.New("the client went away")}

// make acquires, in this order: a place, record, run directory, uid, sandbox, sockets.
func (s *supervisor) make(ctx context.Context, launch workspace.Launch) (*server, error) {
	if err := s.reserve(); err != nil {
		return nil, err
	}
	myself, err := workspace.Myself()
	if err != nil {
		return nil, err
	}
	s.record = workspace.NewRecord(s.ID, launch, s.Engine.Info(), s.Now())
	s.record.Supervisor = myself
	if err := workspace.Write(s.held, s.record); err != nil {
		return nil, err
	}
	fault.Hit("recorded")
	spec, err := workspace.Spec(s.held, s.Store, s.record.Request, s.Agent)
	if err != nil {
		return nil, err
	}
	s.sandbox, err = s.Engine.Start(ctx, spec, s.held.Ledger())
	if err != nil {
		return nil, err
	}
	fault.Hit("sandbox")
	s.note(func(r *workspace.Record) { r.State, r.Limits = api.StateStarted, s.sandbox.Limits() })
	if err := s.save(); err != nil {
		return nil, err
	}
	fault.Hit("started")
	server, err := s.listen()
	fault.Hit("sockets")
	return server, err
}

// admit refuses what cannot be done, before anything is made.
func admit(launch workspace.Launch) error {
	req := launch.Request.WithDefaults()
	if err := req.Check(); err != nil {
		return err
	}
	if req.NetworkPolicy != api.NetworkOff {
		return &api.Error{
			Kind: api.Unsupported, Hint: "leave it out, or use off: the guest then has no network at all",
			Err: fmt.Errorf("network policy %q is not available in this version", req.NetworkPolicy),
		}
	}
	return nil
}

// reserve refuses one workspace too many. It counts itself, so of two that come at
// the same time for one place both may be refused, but never neither.
func (s *supervisor) reserve() error {
	running, err := s.Store.CountRunning()
	if err != nil || running <= s.Capacity {
		return err
	}
	return &api.Error{
		Kind: api.Conflict, Hint: "delete one: `pyro workspace list` shows them",
		Err: fmt.Errorf("%d workspaces are running, allowed are %d", running-1, s.Capacity),
	}
}

// live answers the client and waits for the end.
func (s *supervisor) live(ctx context.Context, launch workspace.Launch, server *server) error {
	expires := s.record.ExpiresAt()
	serving := make(chan error, 1)
	go func() { serving <- server.serve(context.WithoutCancel(ctx)) }() // ends with server.close
	err := answer(s.Client, workspace.Launched{Workspace: s.view(), ControlSocket: s.path(ControlSocket), Hello: s.hello()})
	if err != nil { // it went away at the last moment
		s.finish(ending{remove: true})
	} else if s.Settle != nil {
		err = s.Settle(s.held.Path())
	}
	if launch.Lease {
		hangup := watchHangup(s.Client, func() { s.finish(ending{remove: true}) })
		defer hangup.Stop()
	} else {
		_ = s.Client.Close()
	}
	expiry := time.AfterFunc(expires.Sub(s.Now()), func() { s.finish(ending{remove: true, reason: workspace.ReasonExpired}) })
	defer expiry.Stop()
	go s.awaitSandbox(ctx)
	select {
	case <-s.end:
	case <-ctx.Done():
		s.finish(ending{remove: s.kind == workspace.KindRun, reason: reasonStopped})
	}
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

// conclude ends the sandbox and frees what it had.
func (s *supervisor) conclude(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTime)
	defer cancel()
	fault.Hit("concluding")
	if err := s.stop(ctx); err != nil {
		return err
	}
	fault.Hit("sandbox-stopped")
	defer s.close()
	if s.why.remove {
		if s.kind == workspace.KindWorkspace {
			_ = workspace.Bury(s.held, s.why.reason, s.Now())
		}
		return s.held.Remove(ctx)
	}
	s.note(func(r *workspace.Record) { r.State, r.Reason = api.StateStopped, s.why.reason })
	return errors.Join(s.save(), s.held.Reap(ctx))
}

// stop ends the sandbox. What is thrown away is not asked first.
func (s *supervisor) stop(ctx context.Context) error {
	if s.why.remove {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	return s.sandbox.Stop(ctx)
}

func (s *supervisor) path(name string) string { return filepath.Join(s.Store.RunDir(s.ID), name) }
