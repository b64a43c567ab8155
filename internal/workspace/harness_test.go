package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
)

const testID = "0123456789ab"

// noon has a fraction that a float of seconds holds exactly.
var noon = time.Date(2024, 5, 6, 12, 0, 0, 250_000_000, time.UTC)

var testEngine = engine.Info{Name: "fake", Isolation: "sentry", Mode: api.ModeGuestVsock}

func request() api.CreateRequest {
	return api.CreateRequest{
		Environment: engine.EnvironmentHost, Name: "n", Labels: map[string]string{"k": "v"}, TTLSeconds: api.Forever,
	}.WithDefaults(api.DefaultPolicy)
}

// record is one of a workspace in that state.
func record(id string, kind Kind, state api.State) Record {
	r := NewRecord(id, Launch{Kind: kind, Request: request()}, testEngine, noon)
	r.State = state
	return r
}

// hold creates a workspace with that record; it is held until the test ends, or by
// the caller's Unlock.
func hold(t *testing.T, st *store.Store, r Record) *store.Workspace {
	t.Helper()
	create := st.Create
	if r.Kind == KindRun {
		create = st.CreateVolatile
	}
	held, err := create(r.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Unlock() })
	if err := Write(held, r); err != nil {
		t.Fatal(err)
	}
	return held
}

// leave is hold by a supervisor that was killed after it had acquired a directory,
// whose path is returned.
func leave(t *testing.T, st *store.Store, r Record) string {
	t.Helper()
	held := hold(t, st, r)
	dir, err := held.MakeRunDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// spoil makes a record unreadable.
func spoil(t *testing.T, held *store.Workspace) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(held.Path(), "record.json"), []byte(`{"layout":1,"sha256":"","record":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func wantGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", path, err)
	}
}

func wantThere(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}
