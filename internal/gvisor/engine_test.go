package gvisor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// bench is a store and an engine for tests that boot real sandboxes.
type bench struct {
	store  *store.Store
	engine *Engine
	agent  string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	lib := os.Getenv("PYRO_LIBDIR")
	if lib == "" {
		lib = filepath.Join("..", "..", "bin")
	}
	lib, err := filepath.Abs(lib)
	if err != nil {
		t.Fatal(err)
	}
	st := enginetest.NewStore(t)
	b := &bench{store: st, engine: New(filepath.Join(lib, "pyro-runsc"), filepath.Join(st.Dirs().Cache, "agent")), agent: filepath.Join(lib, agentName)}
	testgate.Require(t, testgate.GVisor, b.try(t))
	return b
}

// try runs one sandbox, as the probe that earns a skip.
func (b *bench) try(t *testing.T) error {
	t.Helper()
	spec, ledger := b.spec(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	box, err := b.engine.Start(ctx, spec, ledger)
	if err != nil {
		return err
	}
	return box.Stop(ctx)
}

// spec describes a new sandbox; what it acquires is freed at the end of the test.
func (b *bench) spec(t *testing.T) (engine.Spec, engine.Ledger) {
	t.Helper()
	var random [6]byte
	_, _ = rand.Read(random[:])
	id := hex.EncodeToString(random[:])
	held, err := b.store.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := held.Remove(ctx); err != nil {
			t.Errorf("remove: %v", err)
		}
	})
	run, err := held.MakeRunDir()
	if err != nil {
		t.Fatal(err)
	}
	uid := os.Geteuid()
	if uid == 0 {
		if uid, err = held.AllocateUID(); err != nil {
			t.Fatal(err)
		}
	}
	return engine.Spec{
		ID: id, Environment: engine.EnvironmentHost, VCPUs: 2, MemMiB: enginetest.MemMiB, DiskMiB: enginetest.DiskMiB,
		PIDs: enginetest.PIDs, UID: uid, Dir: b.store.SandboxDir(id), Run: run, Agent: b.agent,
	}, held.Ledger()
}

func TestEngine(t *testing.T) {
	b := newBench(t)
	enginetest.Run(t, b.subject())
}
