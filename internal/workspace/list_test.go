package workspace

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/store"
)

func list(t *testing.T, st *store.Store) []api.WorkspaceSummary {
	t.Helper()
	l, err := List(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	if l.Workspaces == nil || l.Count != len(l.Workspaces) {
		t.Errorf("count %d of %v", l.Count, l.Workspaces)
	}
	return l.Workspaces
}

func listedIDs(t *testing.T, st *store.Store) []string {
	t.Helper()
	ids := []string{}
	for _, s := range list(t, st) {
		ids = append(ids, s.WorkspaceID)
	}
	return ids
}

func TestListIsOrderedByUse(t *testing.T) {
	st := enginetest.NewStore(t)
	if diff := cmp.Diff([]string{}, listedIDs(t, st)); diff != "" {
		t.Errorf("of nothing (-want +got):\n%s", diff)
	}
	for _, w := range []struct {
		id            string
		created, used time.Duration
	}{
		{"00000000000a", 0, 0},
		{"00000000000b", 0, 2 * time.Hour},
		{"00000000000c", time.Hour, time.Hour},
		{"00000000000d", time.Minute, time.Hour},
		{"00000000000f", time.Minute, time.Hour},
		{"00000000000e", time.Minute, time.Hour},
	} {
		r := record(w.id, KindWorkspace, api.StateStopped)
		r.CreatedAt, r.LastActivityAt = api.At(noon.Add(w.created)), api.At(noon.Add(w.used))
		if err := hold(t, st, r).Unlock(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"00000000000b", "00000000000c", "00000000000d", "00000000000e", "00000000000f", "00000000000a"}
	if diff := cmp.Diff(want, listedIDs(t, st)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestListShowsEachAsItIs(t *testing.T) {
	st := enginetest.NewStore(t)
	hold(t, st, record("00000000000a", KindWorkspace, api.StateStarted))
	lost := leave(t, st, record("00000000000b", KindWorkspace, api.StateStarted))
	broken := hold(t, st, record("00000000000c", KindWorkspace, api.StateStarted))
	spoil(t, broken)
	hold(t, st, record("00000000000d", KindRun, api.StateStarted))
	lostRun := leave(t, st, record("00000000000e", KindRun, api.StateStarted))
	ended := record("00000000000f", KindWorkspace, api.StateStopped)
	ended.Reason = "oom"
	if err := hold(t, st, ended).Unlock(); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range list(t, st) {
		reason := ""
		if s.Reason != nil {
			reason, _, _ = strings.Cut(*s.Reason, ":")
		}
		got[s.WorkspaceID] = string(s.State) + " " + reason
	}
	if diff := cmp.Diff(map[string]string{
		"00000000000a": "started ", "00000000000b": "stopped supervisor_lost",
		"00000000000c": "broken unreadable_record", "00000000000f": "stopped oom",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantGone(t, lost)
	wantGone(t, lostRun)
	wantThere(t, broken.Path())
	if ids, err := st.IDs(); err != nil || len(ids) != 5 {
		t.Errorf("in the store: %v, %v", ids, err)
	}
}

func TestLostSupervisorIsSettledOnDisk(t *testing.T) {
	for name, settles := range map[string]func(context.Context, *store.Store) error{
		"by list":   func(ctx context.Context, st *store.Store) error { _, err := List(ctx, st); return err },
		"by status": func(ctx context.Context, st *store.Store) error { _, err := Status(ctx, st, testID); return err },
		"by sweep":  Sweep,
	} {
		t.Run(name, func(t *testing.T) {
			st := enginetest.NewStore(t)
			left := record(testID, KindWorkspace, api.StateStarted)
			dir := leave(t, st, left)
			for range 2 { // the second time finds nothing to do
				if err := settles(t.Context(), st); err != nil {
					t.Fatal(err)
				}
			}
			wantGone(t, dir)
			got, err := Read(st, testID)
			if err != nil {
				t.Fatal(err)
			}
			left.State, left.Reason = api.StateStopped, ReasonSupervisorLost
			if diff := cmp.Diff(left, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	st := enginetest.NewStore(t)
	held := hold(t, st, record(testID, KindWorkspace, api.StateStarted))
	ws, err := Status(t.Context(), st, testID)
	if err != nil || ws.State != api.StateStarted || ws.AgentSocket != nil {
		t.Errorf("of one that is held: %+v, %v", ws, err)
	}
	spoil(t, held)
	ws, err = Status(t.Context(), st, testID)
	if err != nil || ws.State != api.StateBroken || ws.WorkspaceID != testID || ws.Reason == nil {
		t.Errorf("of a broken one: %+v, %v", ws, err)
	}
	if _, err := Status(t.Context(), st, "00000000000a"); !errors.Is(err, api.NotFound) {
		t.Errorf("of none: %v", err)
	}
	if _, err := Status(t.Context(), st, "../"+testID); !errors.Is(err, api.Invalid) {
		t.Errorf("of no id: %v", err)
	}
}

func TestDelete(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, st *store.Store) string{
		"stopped": func(t *testing.T, st *store.Store) string {
			return leave(t, st, record(testID, KindWorkspace, api.StateStopped))
		},
		"supervisor lost": func(t *testing.T, st *store.Store) string {
			return leave(t, st, record(testID, KindWorkspace, api.StateStarted))
		},
		"one-shot": func(t *testing.T, st *store.Store) string {
			return leave(t, st, record(testID, KindRun, api.StateStarted))
		},
		"broken": func(t *testing.T, st *store.Store) string {
			held := hold(t, st, record(testID, KindWorkspace, api.StateStarted))
			dir, err := held.MakeRunDir()
			if err != nil {
				t.Fatal(err)
			}
			spoil(t, held)
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := enginetest.NewStore(t)
			dir := prepare(t, st)
			got, err := Delete(t.Context(), st, testID)
			if err != nil {
				t.Fatal(err)
			}
			want := &api.WorkspaceDelete{WorkspaceID: testID, Deleted: true, Reason: "explicit_delete"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			wantGone(t, dir)
			if ids, err := st.IDs(); err != nil || len(ids) > 0 {
				t.Errorf("left: %v, %v", ids, err)
			}
			if _, err := Delete(t.Context(), st, testID); !errors.Is(err, api.NotFound) || !strings.Contains(err.Error(), "it was deleted at ") {
				t.Errorf("the second time: %v", err)
			}
		})
	}
}

func TestDeleteRefuses(t *testing.T) {
	st := enginetest.NewStore(t)
	held := hold(t, st, record(testID, KindWorkspace, api.StateStarted))
	if _, err := Delete(t.Context(), st, testID); !errors.Is(err, api.Conflict) || api.HintOf(err) == "" {
		t.Errorf("with its supervisor: %v", err)
	}
	wantThere(t, held.Path())
	if _, err := Read(st, testID); err != nil {
		t.Errorf("it was touched: %v", err)
	}
	if _, err := st.Epitaph(testID); !errors.Is(err, api.NotFound) {
		t.Errorf("it was buried alive: %v", err)
	}
	if _, err := Delete(t.Context(), st, "00000000000a"); !errors.Is(err, api.NotFound) {
		t.Errorf("of none: %v", err)
	}
	if _, err := Delete(t.Context(), st, ".."); !errors.Is(err, api.Invalid) {
		t.Errorf("of no id: %v", err)
	}
}

func TestSweepLeavesTheLivingAlone(t *testing.T) {
	st := enginetest.NewStore(t)
	var kept []string
	for id, kind := range map[string]Kind{"00000000000a": KindWorkspace, "00000000000b": KindRun} {
		held := hold(t, st, record(id, kind, api.StateStarted))
		dir, err := held.MakeRunDir()
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, held.Path(), dir)
	}
	being, err := st.Create("00000000000c") // has no record yet
	if err != nil {
		t.Fatal(err)
	}
	broken := hold(t, st, record("00000000000d", KindWorkspace, api.StateStarted))
	spoil(t, broken)
	run := leave(t, st, record("00000000000e", KindRun, api.StateCreated))
	if err := Sweep(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	for _, path := range append(kept, being.Path(), broken.Path()) {
		wantThere(t, path)
	}
	wantGone(t, run)
	if _, err := st.Running("00000000000e"); !errors.Is(err, api.NotFound) {
		t.Errorf("the one-shot run is left: %v", err)
	}
}
