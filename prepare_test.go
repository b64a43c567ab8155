package pyro

import (
	"errors"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/version"
	"github.com/pyro-sandbox/pyro/internal/warm"
)

func TestWhatIsWarmIsNotTriedAgain(t *testing.T) {
	c := newTestClient(t, "a role that fails")
	if _, err := c.cacheDir(warm.Dir); err != nil {
		t.Fatal(err)
	}
	now := warm.Find(version.String(), c.binary, "")
	known := api.Prepare{Environment: "host", PreparedAt: 17, State: api.Warm, StateBefore: api.Cold, Executed: true, Steps: []api.PrepareStep{{Name: "create"}}}
	if err := warm.Note(c.store.Dirs().Cache, warm.Record{Identity: now, Prepared: known}); err != nil {
		t.Fatal(err)
	}
	tried := 0
	opts := &PrepareOptions{Step: func(string) { tried++ }}
	done, err := c.Prepare(t.Context(), "host", opts)
	if err != nil {
		t.Fatal(err)
	}
	if done.Executed || done.Reason != nil || done.StateBefore != api.Warm || done.PreparedAt != 17 || len(done.Steps) != 1 || tried != 0 {
		t.Errorf("tried %d: %+v", tried, done)
	}
	opts.Force = true
	if _, err := c.Prepare(t.Context(), "host", opts); err == nil || tried != 1 {
		t.Errorf("by force it tried %d: %v", tried, err)
	}
}

func TestWhatFailsStaysCold(t *testing.T) {
	c := newTestClient(t, "a role that fails")
	if _, err := c.Prepare(t.Context(), "host", nil); err == nil {
		t.Error("it worked")
	}
	state, _ := warm.Look(c.store.Dirs().Cache, "host", warm.Find(version.String(), c.binary, ""))
	if state.State != api.Cold {
		t.Errorf("it is %s", state.State)
	}
}

func TestPrepareHasNoNetwork(t *testing.T) {
	c := newTestClient(t, "")
	if _, err := c.Prepare(t.Context(), "host", &PrepareOptions{Network: true}); !errors.Is(err, api.Unsupported) {
		t.Error(err)
	}
}
