package workspace

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
)

func TestApply(t *testing.T) {
	for name, tt := range map[string]struct {
		req        api.UpdateRequest
		wantName   string
		wantLabels map[string]string
		says       string // of the error; empty: none
	}{
		"name":                    {req: api.UpdateRequest{Name: text(" new ")}, wantName: "new", wantLabels: map[string]string{"k": "v"}},
		"clear name":              {req: api.UpdateRequest{ClearName: true}, wantLabels: map[string]string{"k": "v"}},
		"label":                   {req: api.UpdateRequest{Labels: map[string]string{"a": "b"}}, wantName: "n", wantLabels: map[string]string{"k": "v", "a": "b"}},
		"label anew":              {req: api.UpdateRequest{Labels: map[string]string{"k": "w"}}, wantName: "n", wantLabels: map[string]string{"k": "w"}},
		"clear label":             {req: api.UpdateRequest{ClearLabels: []string{"k", "unknown"}}, wantName: "n", wantLabels: map[string]string{}},
		"clear what is set":       {req: api.UpdateRequest{Labels: map[string]string{"a": "b"}, ClearLabels: []string{"a", "k"}}, wantName: "n", wantLabels: map[string]string{}},
		"nothing":                 {says: "nothing would change"},
		"the same":                {req: api.UpdateRequest{Name: text("n"), Labels: map[string]string{"k": "v"}}, says: "nothing would change"},
		"unknown label":           {req: api.UpdateRequest{ClearLabels: []string{"unknown"}}, says: "nothing would change"},
		"both":                    {req: api.UpdateRequest{Name: text("x"), ClearName: true}, says: "exclude"},
		"empty name":              {req: api.UpdateRequest{Name: text(" ")}, says: "name must not be empty"},
		"long name":               {req: api.UpdateRequest{Name: text(strings.Repeat("x", 121))}, says: "name"},
		"bad label":               {req: api.UpdateRequest{Labels: map[string]string{"a b": "c"}}, says: "label key"},
		"ttl beyond the policy":   {req: api.UpdateRequest{TTLSeconds: 3601}, says: "3601"},
		"ttl without an end":      {req: api.UpdateRequest{TTLSeconds: api.Forever}, says: "without end"},
		"ttl":                     {req: api.UpdateRequest{TTLSeconds: 60}, wantName: "n", wantLabels: map[string]string{"k": "v"}},
		"one good, one bad field": {req: api.UpdateRequest{Name: text("x"), TTLSeconds: 1}, says: "ttl_seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(testID, KindWorkspace, api.StateStarted)
			before := r
			err := r.Apply(tt.req, api.DefaultPolicy, noon.Add(time.Hour))
			if tt.says != "" {
				if api.KindOf(err) != api.Invalid || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error is %v, want one with %q", err, tt.says)
				}
				if diff := cmp.Diff(before, r); diff != "" {
					t.Errorf("it changed:\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Request.Name != tt.wantName || cmp.Diff(tt.wantLabels, r.Request.Labels) != "" {
				t.Errorf("name %q, labels %v", r.Request.Name, r.Request.Labels)
			}
			if r.LastActivityAt != api.At(noon.Add(time.Hour)) {
				t.Error("it is not the last used")
			}
		})
	}
}

func TestUpdateOfAStoppedOne(t *testing.T) {
	st := enginetest.NewStore(t)
	if err := hold(t, st, record(testID, KindWorkspace, api.StateStopped)).Unlock(); err != nil {
		t.Fatal(err)
	}
	got, err := Update(t.Context(), st, testID, api.UpdateRequest{ClearName: true, TTLSeconds: 90}, api.DefaultPolicy)
	if err != nil || got.Name != nil || got.TTLSeconds != 90 || got.ExpiresAt == nil {
		t.Errorf("%+v, %v", got, err)
	}
	again, err := Status(t.Context(), st, testID)
	if err != nil || cmp.Diff(got, again) != "" {
		t.Errorf("afterwards %+v, %v", again, err)
	}
	if _, err := Update(t.Context(), st, "00000000000f", api.UpdateRequest{ClearName: true}, api.DefaultPolicy); api.KindOf(err) != api.NotFound {
		t.Errorf("of one that is not there: %v", err)
	}
	held, err := st.Lock(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Unlock() }()
	if _, err := Update(t.Context(), st, testID, api.UpdateRequest{Name: text("x")}, api.DefaultPolicy); api.KindOf(err) != api.Conflict {
		t.Errorf("of one that somebody holds: %v", err)
	}
}

// A stopped workspace whose time is over goes with the next command, whichever.
func TestStoppedOneExpires(t *testing.T) {
	for _, name := range []string{"list", "status", "sweep"} {
		t.Run(name, func(t *testing.T) {
			st := enginetest.NewStore(t)
			r := record(testID, KindWorkspace, api.StateStopped)
			r.Renew(60, noon)
			held := hold(t, st, r)
			if err := held.Unlock(); err != nil {
				t.Fatal(err)
			}
			switch name {
			case "list":
				if got := list(t, st); len(got) != 0 {
					t.Errorf("it is listed: %v", got)
				}
			case "sweep":
				if err := Sweep(t.Context(), st); err != nil {
					t.Error(err)
				}
			}
			if _, err := Status(t.Context(), st, testID); api.KindOf(err) != api.Expired {
				t.Errorf("status: %v", err)
			}
			wantGone(t, held.Path())
		})
	}
}

// One that was never finished was never anybody's.
func TestHalfMadeOneIsRemoved(t *testing.T) {
	st := enginetest.NewStore(t)
	dir := leave(t, st, record(testID, KindWorkspace, api.StateCreated))
	if got := list(t, st); len(got) != 0 {
		t.Errorf("it is listed: %v", got)
	}
	if _, err := Status(t.Context(), st, testID); api.KindOf(err) != api.NotFound {
		t.Errorf("status: %v", err)
	}
	wantGone(t, dir)
	wantGone(t, st.Path(testID))
}

func TestRebootIsToldFromAKill(t *testing.T) {
	st := enginetest.NewStore(t)
	r := record(testID, KindWorkspace, api.StateStarted)
	r.Supervisor.BootID = "another boot"
	leave(t, st, r)
	got, err := Status(t.Context(), st, testID)
	if err != nil || got.Reason == nil || *got.Reason != ReasonRebooted {
		t.Errorf("%+v, %v", got, err)
	}
}
