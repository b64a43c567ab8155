package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// snap makes a snapshot.
func (r *running) snap(t *testing.T, name string) api.SnapshotCreate {
	t.Helper()
	var made api.SnapshotCreate
	if refused := r.call(t, http.MethodPost, "/v1/snapshots", api.SnapshotRequest{SnapshotName: name}, &made); refused != nil {
		t.Fatalf("snapshot %q: %+v", name, *refused)
	}
	return made
}

// keep writes a file in the guest.
func (r *running) keep(t *testing.T, name, text string) {
	t.Helper()
	if result := r.sh(t, fmt.Sprintf("printf %%s '%s' > %s", text, name)); result.ExitCode != 0 {
		t.Fatalf("%+v", result)
	}
}

func (r *running) sh(t *testing.T, command string) api.WorkspaceExec {
	t.Helper()
	var result api.WorkspaceExec
	if refused := r.call(t, http.MethodPost, "/v1/exec", api.ExecRequest{Command: command, Cwd: api.WorkspacePath}, &result); refused != nil {
		t.Fatalf("%s: %+v", command, *refused)
	}
	return result
}

// wantFile wants a file of the guest to hold text, or not to be there for "".
func (r *running) wantFile(t *testing.T, name, text string) {
	t.Helper()
	if got := r.sh(t, "cat "+name+" 2>/dev/null || true").Stdout; got != text {
		t.Errorf("%s holds %q, want %q", name, got, text)
	}
}

func (r *running) reset(t *testing.T, name string) api.Reset {
	t.Helper()
	var done api.Reset
	if refused := r.call(t, http.MethodPost, "/v1/reset", api.ResetRequest{Snapshot: name}, &done); refused != nil {
		t.Fatalf("reset to %q: %+v", name, *refused)
	}
	return done
}

func TestSnapshots(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.keep(t, "a", "one")
	first := r.snap(t, " first ")
	if s := first.Snapshot; s.SnapshotName != "first" || s.Kind != api.SnapshotNamed || s.EntryCount != 1 || s.BytesWritten != 3 || !s.Deletable || s.DiskBytes == 0 || s.Method != api.MethodDisk {
		t.Errorf("%+v", s)
	}
	r.keep(t, "b", "two")
	r.snap(t, "second")
	var list api.SnapshotList
	if refused := r.call(t, http.MethodGet, "/v1/snapshots", nil, &list); refused != nil {
		t.Fatal(refused)
	}
	var names []string
	for _, s := range list.Snapshots {
		names = append(names, s.SnapshotName+" "+s.Kind)
	}
	if diff := cmp.Diff([]string{"baseline baseline", "second named", "first named"}, names); diff != "" || list.Count != 3 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if refused := r.call(t, http.MethodPost, "/v1/snapshots", api.SnapshotRequest{SnapshotName: "first"}, nil); refused == nil || refused.Kind != api.Exists {
		t.Errorf("a name that is taken: %+v", refused)
	}
	for _, name := range []string{"baseline", "", "a b", "../x", strings.Repeat("a", 65)} {
		if refused := r.call(t, http.MethodPost, "/v1/snapshots", api.SnapshotRequest{SnapshotName: name}, nil); refused == nil || refused.Kind != api.Invalid {
			t.Errorf("the name %q: %+v", name, refused)
		}
	}
	var gone api.SnapshotDelete
	if refused := r.call(t, http.MethodDelete, "/v1/snapshots/first", nil, &gone); refused != nil || !gone.Deleted {
		t.Errorf("%+v, %+v", refused, gone)
	}
	for name, kind := range map[string]api.Kind{"first": api.NotFound, "baseline": api.Invalid} {
		if refused := r.call(t, http.MethodDelete, "/v1/snapshots/"+name, nil, nil); refused == nil || refused.Kind != kind {
			t.Errorf("delete of %s: %+v", name, refused)
		}
	}
	left, err := os.ReadDir(filepath.Join(b.store.Path(testID), "snapshots"))
	if err != nil || len(left) != 1 {
		t.Errorf("images: %v, %v", left, err)
	}
}

func TestSnapshotsOfAStoppedWorkspace(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.snap(t, "one")
	r.stop(t)
	gone, err := workspace.DeleteSnapshot(t.Context(), b.store, testID, "one")
	if err != nil || !gone.Deleted {
		t.Fatalf("%+v, %v", gone, err)
	}
	if _, err := workspace.DeleteSnapshot(t.Context(), b.store, testID, "one"); !errors.Is(err, api.NotFound) {
		t.Errorf("a second time: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(b.store.Path(testID), "snapshots"))
	if err != nil || len(left) != 0 {
		t.Errorf("images: %v, %v", left, err)
	}
}

func TestASnapshotThatFailsLeavesNothing(t *testing.T) {
	b := newBench(t)
	full := errors.New("no space left on device")
	b.fake().Saving = func(context.Context, *enginetest.FakeSandbox) error { return full }
	r := b.start(t, aWorkspace())
	if refused := r.call(t, http.MethodPost, "/v1/snapshots", api.SnapshotRequest{SnapshotName: "one"}, nil); refused == nil || !strings.Contains(refused.Error, full.Error()) {
		t.Errorf("%+v", refused)
	}
	left, err := os.ReadDir(filepath.Join(b.store.Path(testID), "snapshots"))
	if err != nil || len(left) != 0 {
		t.Errorf("images: %v, %v", left, err)
	}
	if record, err := workspace.Read(b.store, testID); err != nil || len(record.Snapshots) != 0 {
		t.Errorf("%+v, %v", record.Snapshots, err)
	}
}

func TestResetToSnapshotAndBaseline(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.keep(t, "a", "one")
	r.snap(t, "one")
	r.keep(t, "a", "two")
	done := r.reset(t, "one")
	if done.ResetCount != 1 || done.LastResetAt == nil || done.CommandCount != 0 || done.LastCommand != nil || done.State != api.StateStarted {
		t.Errorf("%+v", done)
	}
	want := api.ResetSource{SnapshotName: "one", Kind: api.SnapshotNamed, Destination: "/workspace", EntryCount: 1, BytesWritten: 3}
	if diff := cmp.Diff(want, done.WorkspaceReset); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.wantFile(t, "a", "one")
	if got := r.sh(t, "true").Sequence; got != 2 {
		t.Errorf("the second command after a reset has the number %d", got)
	}
	done = r.reset(t, "")
	if done.ResetCount != 2 || done.WorkspaceReset.Kind != api.SnapshotBaseline {
		t.Errorf("%+v", done.WorkspaceReset)
	}
	r.wantFile(t, "a", "")
	r.reset(t, "one")
	r.wantFile(t, "a", "one")
}

func TestHistoryAcrossResets(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.sh(t, "echo before")
	r.reset(t, "")
	r.sh(t, "echo after")
	for query, want := range map[string][]string{"": {"1/1 after\n"}, "?all=true": {"0/1 before\n", "1/1 after\n"}, "?all=true&last=1": {"1/1 after\n"}} {
		var logs api.WorkspaceLogs
		if refused := r.call(t, http.MethodGet, "/v1/logs"+query, nil, &logs); refused != nil {
			t.Fatal(refused)
		}
		var got []string
		for _, e := range logs.Entries {
			got = append(got, fmt.Sprintf("%d/%d %s", e.ResetCount, e.Sequence, e.Stdout))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	r.stop(t)
	if logs, err := workspace.ReadLogs(t.Context(), b.store, testID, 0, false); err != nil || logs.Count != 1 {
		t.Errorf("%+v, %v", logs, err)
	}
	if logs, err := workspace.ReadLogs(t.Context(), b.store, testID, 0, true); err != nil || logs.Count != 2 {
		t.Errorf("%+v, %v", logs, err)
	}
}

func TestACommandEndsWithAReset(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	ended := make(chan *api.ErrorReply, 1)
	go func() {
		ended <- r.call(t, http.MethodPost, "/v1/exec", api.ExecRequest{Command: "touch begun; sleep 60"}, nil)
	}()
	r.await(t, "test -e begun")
	r.reset(t, "")
	if refused := <-ended; refused == nil || refused.Kind != api.Conflict || !strings.Contains(refused.Error, "reset") {
		t.Errorf("%+v", refused)
	}
	var logs api.WorkspaceLogs
	if refused := r.call(t, http.MethodGet, "/v1/logs?all=true&last=0", nil, &logs); refused != nil {
		t.Fatal(refused)
	}
	cut := slices.IndexFunc(logs.Entries, func(e api.LogEntry) bool { return e.Reason != nil && *e.Reason == api.EndedByReset })
	if cut < 0 || logs.Entries[cut].ExitCode != -1 || logs.Entries[cut].ResetCount != 0 {
		t.Errorf("%+v", logs.Entries)
	}
}

// await repeats a command until it succeeds.
func (r *running) await(t *testing.T, command string) {
	t.Helper()
	for t.Context().Err() == nil {
		if r.sh(t, command).ExitCode == 0 {
			return
		}
	}
}

func TestADamagedSnapshotRefusesTheReset(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.snap(t, "one")
	r.keep(t, "a", "live")
	image := filepath.Join(b.store.Path(testID), "snapshots", "1", "tree.tar")
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(image, data, 0o600); err != nil {
		t.Fatal(err)
	}
	refused := r.call(t, http.MethodPost, "/v1/reset", api.ResetRequest{Snapshot: "one"}, nil)
	if refused == nil || refused.Kind != api.Conflict || !strings.Contains(refused.Error, "damaged") || !strings.Contains(refused.Hint, "snapshot delete") {
		t.Errorf("%+v", refused)
	}
	r.wantFile(t, "a", "live")
	if refused := r.call(t, http.MethodPost, "/v1/reset", api.ResetRequest{Snapshot: "other"}, nil); refused == nil || refused.Kind != api.NotFound {
		t.Errorf("%+v", refused)
	}
	r.wantFile(t, "a", "live")
	b.wantOneSandbox(t)
}

// wantOneSandbox wants the ledger to name, soon, directories of one sandbox alone: the
// workspace's run directory, the sandbox's, and what it opens by path.
func (b *bench) wantOneSandbox(t *testing.T) {
	t.Helper()
	const most = 3
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-tick.C {
		data, err := os.ReadFile(filepath.Join(b.store.Path(testID), "ledger.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(data), `"kind":"dir"`) <= most {
			return
		}
		if time.Now().After(end) {
			t.Errorf("the ledger names more than one sandbox:\n%s", data)
			return
		}
	}
}

func TestTwoResetsAtOnce(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.keep(t, "a", "one")
	r.snap(t, "one")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if refused := r.call(t, http.MethodPost, "/v1/reset", api.ResetRequest{Snapshot: "one"}, new(api.Reset)); refused != nil {
				t.Errorf("%+v", refused)
			}
		})
	}
	all.Wait()
	r.wantFile(t, "a", "one")
	if now, err := workspace.Read(b.store, testID); err != nil || now.ResetCount != 4 {
		t.Errorf("%+v, %v", now.ResetCount, err)
	}
	b.wantOneSandbox(t)
}

func TestStartAfterAReset(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.keep(t, "a", "one")
	r.snap(t, "one")
	r.keep(t, "a", "two")
	r.reset(t, "one")
	r.keep(t, "b", "more")
	r.stop(t)
	again := aWorkspace()
	again.Start = &api.StartRequest{}
	r = b.start(t, again)
	r.wantFile(t, "a", "one")
	r.wantFile(t, "b", "more")
	r.reset(t, "one")
	r.wantFile(t, "b", "")
}

func TestResetOfAStoppedWorkspace(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.keep(t, "a", "one")
	r.snap(t, "one")
	r.keep(t, "a", "two")
	r.stop(t)
	again := aWorkspace()
	again.Start = &api.StartRequest{Reset: "other"}
	if _, launched := b.launch(t, b.cfg, again); launched.Error == nil || launched.Error.Kind != api.NotFound {
		t.Fatalf("%+v", launched)
	}
	again.Start = &api.StartRequest{Reset: "one"}
	r, launched := b.launch(t, b.cfg, again)
	if launched.Error != nil || launched.Workspace.ResetCount != 1 || launched.Workspace.CommandCount != 0 {
		t.Fatalf("%+v", launched)
	}
	r.wantFile(t, "a", "one")
	r.stop(t)
	again.Start = &api.StartRequest{Reset: api.Baseline}
	r = b.start(t, again)
	r.wantFile(t, "a", "")
}

func TestAWorkspaceThatEndsDuringAReset(t *testing.T) {
	b := newBench(t)
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	r := b.start(t, aWorkspace())
	b.fake().Started = func(*enginetest.FakeSandbox) { held <- struct{}{}; <-hold }
	refusal := make(chan *api.ErrorReply, 1)
	go func() { refusal <- r.call(t, http.MethodPost, "/v1/reset", api.ResetRequest{}, nil) }()
	<-held
	ended := make(chan *api.ErrorReply, 1)
	go func() { ended <- r.call(t, http.MethodPost, "/v1/stop", api.StopRequest{}, new(api.Workspace)) }()
	r.awaitOver(t)
	close(hold)
	if refused := <-refusal; refused == nil || refused.Kind != api.Conflict {
		t.Errorf("%+v", refused)
	}
	if refused := <-ended; refused != nil {
		t.Errorf("%+v", refused)
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	if now, err := workspace.Read(b.store, testID); err != nil || now.ResetCount != 0 || now.State != api.StateStopped {
		t.Errorf("%+v, %v", now, err)
	}
}

// awaitOver returns when the end of the workspace has been decided.
func (r *running) awaitOver(t *testing.T) {
	t.Helper()
	for t.Context().Err() == nil {
		if refused := r.call(t, http.MethodPost, "/v1/exec", api.ExecRequest{Command: "true"}, new(api.WorkspaceExec)); refused != nil {
			return
		}
	}
}
