package enginetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/hashicorp/yamux"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/agent"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// Fake is an engine without sandboxes: the real agent, in this process, on a
// temporary directory. Commands run on the host, so only tests that trust them may
// use it.
type Fake struct {
	// Workspace and RunDir take the place of the guest's /workspace and /run.
	Workspace, RunDir string

	// Started is called with each new sandbox, before Start returns; may be nil.
	Started func(*FakeSandbox)
}

var _ engine.Engine = (*Fake)(nil)

// NewFake returns an engine whose files vanish with the test.
func NewFake(t testing.TB) *Fake {
	return &Fake{Workspace: t.TempDir(), RunDir: t.TempDir()}
}

// Info implements engine.Engine. The fake claims a mode of its own nowhere: tests
// of the domain see what users of an isolated engine see.
func (*Fake) Info() engine.Info {
	return engine.Info{Name: "fake", Isolation: "none", Mode: api.ModeGuestVsock}
}

// Start implements engine.Engine.
func (f *Fake) Start(ctx context.Context, spec engine.Spec, ledger engine.Ledger) (engine.Sandbox, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if spec.Environment != engine.EnvironmentHost {
		return nil, &api.Error{Kind: api.NotFound, Err: fmt.Errorf("no environment %q", spec.Environment)}
	}
	if err := ledger.Acquire(store.Resource{Kind: store.KindDir, Path: spec.Dir}); err != nil {
		return nil, err
	}
	host, guest := net.Pipe()
	server, err := yamux.Server(guest, wire.MuxConfig())
	if err != nil {
		return nil, err
	}
	client, err := yamux.Client(host, wire.MuxConfig())
	if err != nil {
		return nil, err
	}
	s := &FakeSandbox{client: client, server: server, done: make(chan struct{})}
	go func() { // ends when either side of the channel is closed
		_ = agent.Serve(context.Background(), server, agent.Config{Workspace: f.Workspace, RunDir: f.RunDir})
		s.finish(engine.Exit{Code: 137, Reason: engine.EndedByLoss})
		close(s.done)
	}()
	if f.Started != nil {
		f.Started(s)
	}
	return s, nil
}

// FakeSandbox is a running agent.
type FakeSandbox struct {
	client, server *yamux.Session
	done           chan struct{} // closed when the agent has ended

	mu   sync.Mutex
	exit *engine.Exit
}

var _ engine.Sandbox = (*FakeSandbox)(nil)

// Dial implements engine.Sandbox.
func (s *FakeSandbox) Dial(context.Context) (net.Conn, error) {
	conn, err := s.client.Open()
	if err != nil {
		return nil, &api.Error{Kind: api.Unavailable, Err: errors.New("the sandbox is gone")}
	}
	return conn, nil
}

// Wait implements engine.Sandbox.
func (s *FakeSandbox) Wait(ctx context.Context) (engine.Exit, error) {
	select {
	case <-s.done:
		return *s.exit, nil
	case <-ctx.Done():
		return engine.Exit{}, context.Cause(ctx)
	}
}

// Stop implements engine.Sandbox.
func (s *FakeSandbox) Stop(context.Context) error {
	s.finish(engine.Exit{})
	_ = s.client.Close()
	<-s.done
	return nil
}

// Crash ends the sandbox as if its processes had been killed.
func (s *FakeSandbox) Crash() {
	s.finish(engine.Exit{Code: 137, Reason: engine.EndedByLoss})
	_ = s.server.Close()
	<-s.done
	_ = s.client.Close()
}

// Limits implements engine.Sandbox.
func (*FakeSandbox) Limits() api.Limits {
	why := "there is no sandbox"
	return api.Limits{Why: &why}
}

// finish notes how it ended; only the first word counts.
func (s *FakeSandbox) finish(exit engine.Exit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exit == nil {
		s.exit = &exit
	}
}
