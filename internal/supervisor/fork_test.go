package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const forkID = "aaaaaaaaaaaa"

// forkLaunch is what the supervisor of a fork is told.
func forkLaunch(from workspace.ForkFrom) workspace.Launch {
	from.Workspace = testID
	return workspace.Launch{Kind: workspace.KindWorkspace, From: &from, Request: api.CreateRequest{Name: "try"}}
}

// fork launches a fork and returns it, or why there is none.
func (b *bench) fork(t *testing.T, from workspace.ForkFrom) (*running, workspace.Launched) {
	t.Helper()
	cfg := b.cfg
	cfg.ID = forkID
	return b.launch(t, cfg, forkLaunch(from))
}

// lease asks for an image, and returns it with what gives it back.
func (r *running) lease(t *testing.T) (*workspace.SavedDisk, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://pyro/v1/forks", bytes.NewReader([]byte(`{"count":1}`)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = resp.Body.Close() })
	var image workspace.SavedDisk
	if err := json.NewDecoder(resp.Body).Decode(&image); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp.Status, err)
	}
	return &image, func() { cancel(); _ = resp.Body.Close() }
}

func TestForkOfARunningWorkspace(t *testing.T) {
	b := newBench(t)
	launch := aWorkspace()
	launch.Request.Labels = map[string]string{"task": "1"}
	launch.Request.Secrets = []api.SecretValue{{Name: "TOKEN", Value: "a-very-secret-value", SourceKind: api.SecretLiteral}}
	r := b.start(t, launch)
	r.keep(t, "a", "one")
	image, release := r.lease(t)
	f, launched := b.fork(t, workspace.ForkFrom{Image: image})
	if launched.Error != nil {
		t.Fatalf("%+v", *launched.Error)
	}
	release()
	ws := launched.Workspace
	if ws.WorkspaceID != forkID || *ws.Name != "try" || ws.Labels["task"] != "1" || ws.Labels[api.ForkedFrom] != testID || ws.Metadata[api.ForkedFrom] != testID || len(ws.Secrets) != 0 {
		t.Errorf("%+v", ws)
	}
	f.wantFile(t, "a", "one")
	f.keep(t, "a", "two")
	r.wantFile(t, "a", "one")
	wantSoonGone(t, image.Dir(b.store.Path(testID)))
	f.stop(t)
	found := 0
	_ = filepath.WalkDir(b.store.Path(forkID), func(path string, _ os.DirEntry, err error) error {
		if data, readErr := os.ReadFile(path); err == nil && readErr == nil && strings.Contains(string(data), "a-very-secret-value") {
			t.Errorf("%s holds the secret", path)
		}
		found++
		return nil
	})
	if found < 3 {
		t.Errorf("the fork has %d files", found)
	}
}

// wantSoonGone wants a path to be removed.
func wantSoonGone(t *testing.T, path string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-tick.C {
		if _, err := os.Lstat(path); err != nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s is still there", path)
		}
	}
}

func TestForkOfAStoppedWorkspaceAndOfASnapshot(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.keep(t, "a", "one")
	r.snap(t, "one")
	r.keep(t, "a", "two")
	r.stop(t)
	for from, want := range map[string]string{"": "two", "one": "one", api.Baseline: ""} {
		f, launched := b.fork(t, workspace.ForkFrom{Snapshot: from})
		if launched.Error != nil {
			t.Fatalf("%+v", *launched.Error)
		}
		f.wantFile(t, "a", want)
		if got := launched.Workspace.Metadata[api.ForkedSnapshot]; got != from {
			t.Errorf("forked from %q", got)
		}
		if refused := f.call(t, http.MethodDelete, "/v1/workspace", nil, new(api.WorkspaceDelete)); refused != nil {
			t.Fatalf("%+v", *refused)
		}
		if err := f.wait(t); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAForkThatCannotBeMadeLeavesNothing(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.snap(t, "one")
	r.stop(t)
	image := filepath.Join(b.store.Path(testID), "snapshots", "1", "tree.tar")
	if err := os.WriteFile(image, []byte("nothing of the kind"), 0o600); err != nil {
		t.Fatal(err)
	}
	for snapshot, kind := range map[string]api.Kind{"other": api.NotFound, "one": api.Conflict} {
		_, launched := b.fork(t, workspace.ForkFrom{Snapshot: snapshot})
		if launched.Error == nil || launched.Error.Kind != kind {
			t.Errorf("%s: %+v", snapshot, launched.Error)
		}
		if _, err := os.Lstat(b.store.Path(forkID)); err == nil {
			t.Errorf("%s: something of the fork is left", snapshot)
		}
	}
}
