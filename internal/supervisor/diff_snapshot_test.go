package supervisor

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func TestASnapshotIsComparedWith(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.shell(t, "mkdir d; echo one >d/file; echo two >gone; ln -s d link; ln d/file hard")
	do[api.SnapshotCreate](t, r, "POST", "/v1/snapshots", api.SnapshotRequest{SnapshotName: "before"})
	if same := do[api.WorkspaceDiff](t, r, "GET", "/v1/diff?against=before", nil); same.Changed {
		t.Errorf("right after the snapshot: %+v", same.Entries)
	}
	r.shell(t, "echo more >>hard; rm gone; ln -sfn gone link; echo new >new")
	diff := do[api.WorkspaceDiff](t, r, "GET", "/v1/diff?against=before", nil)
	got := make(map[string]string)
	for _, e := range diff.Entries {
		got[e.Path] = string(e.Status)
	}
	want := map[string]string{"d/file": "modified", "gone": "deleted", "hard": "modified", "link": "modified", "new": "added"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if !strings.Contains(diff.Patch, "-two\n") || !strings.Contains(diff.Patch, " one\n+more\n") {
		t.Errorf("patch: %s", diff.Patch)
	}
	if got := refused(t, r, "GET", "/v1/diff?against=nothing", nil); got.Kind != api.NotFound {
		t.Errorf("against none: %+v", got)
	}
	s := do[api.Summary](t, r, "GET", "/v1/summary", nil)
	if s.Changes == nil || s.Changes.Added != 4 || s.Changes.Total != 4 {
		t.Errorf("summary: %+v, %v", s.Changes, s.ChangesNote)
	}
	if d := cmp.Diff([]string{"before"}, s.Snapshots.Names); d != "" {
		t.Errorf("snapshots (-want +got):\n%s", d)
	}
	r.stop(t)
}
