package enginetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/yamux"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/agent"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// Fake is an engine without sandboxes: the real agent, in this process, on temporary
// directories of each sandbox's own. Commands run on the host, so only tests that trust
// them may use it. Fields are set before the first use.
type Fake struct {
	// Started is called with each new sandbox, before Start returns; may be nil.
	Started func(*FakeSandbox)

	// Saving is called in each SaveDisk before anything is written, and may block or
	// make it fail; may be nil.
	Saving func(context.Context, *FakeSandbox) error

	// Saves counts the calls of SaveDisk that succeeded.
	Saves atomic.Int64

	// Format is what DiskFormat says, as if another version was installed. Disks are
	// the same in all of them.
	Format string

	dir string // below it the directories of the sandboxes
}

var (
	_ engine.Engine     = (*Fake)(nil)
	_ engine.DiskKeeper = (*Fake)(nil)
)

// NewFake returns an engine whose files vanish with the test.
func NewFake(t testing.TB) *Fake { return NewFakeIn(t.TempDir()) }

// NewFakeIn returns an engine whose files lie in a directory that is the caller's.
func NewFakeIn(dir string) *Fake { return &Fake{Format: "fake/1", dir: dir} }

// Info implements engine.Engine. The fake claims a mode of its own nowhere: tests
// of the domain see what users of an isolated engine see.
func (*Fake) Info() engine.Info {
	return engine.Info{Name: "fake", Isolation: "fake", Mode: api.ModeGuestVsock}
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
	s, err := f.newSandbox(ctx, spec.Disk)
	if err != nil {
		return nil, err
	}
	root := s.Workspace
	if spec.Whole {
		root = filepath.Dir(root)
	}
	go func() { // ends when either side of the channel is closed
		_ = agent.Serve(context.Background(), s.server, agent.Config{Workspace: root, RunDir: s.RunDir})
		s.finish(engine.Exit{Code: 137, Reason: engine.EndedByLoss})
		close(s.done)
	}()
	if f.Started != nil {
		f.Started(s)
	}
	return s, nil
}

func (f *Fake) newSandbox(ctx context.Context, disk string) (*FakeSandbox, error) {
	s := &FakeSandbox{fake: f, saving: make(chan struct{}, 1), done: make(chan struct{})}
	root, err := os.MkdirTemp(f.dir, "root")
	if err != nil {
		return nil, err
	}
	s.Workspace = filepath.Join(root, "workspace") // where a guest has it
	if err := os.Mkdir(s.Workspace, 0o755); err != nil {
		return nil, err
	}
	if s.RunDir, err = os.MkdirTemp(f.dir, "run"); err != nil {
		return nil, err
	}
	if disk != "" {
		if err := restoreTree(ctx, disk, s.Workspace); err != nil {
			return nil, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("saved disk %s: %w", disk, err)}
		}
	}
	host, guest := net.Pipe()
	if s.server, err = yamux.Server(guest, wire.MuxConfig()); err != nil {
		return nil, err
	}
	if s.client, err = wire.NewChannel(host); err != nil {
		return nil, err
	}
	return s, nil
}

// FakeSandbox is a running agent.
type FakeSandbox struct {
	// Workspace and RunDir take the place of the guest's /workspace and /run.
	Workspace, RunDir string

	fake   *Fake
	saving chan struct{} // holds one element while the disk is being saved

	client *wire.Channel
	server *yamux.Session
	done   chan struct{} // closed when the agent has ended

	mu   sync.Mutex
	exit *engine.Exit
}

var _ engine.Sandbox = (*FakeSandbox)(nil)

// Dial implements engine.Sandbox.
func (s *FakeSandbox) Dial(ctx context.Context) (net.Conn, error) { return s.client.Dial(ctx) }

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
