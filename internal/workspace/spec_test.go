package workspace

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
)

func TestSpec(t *testing.T) {
	st := enginetest.NewStore(t)
	held := hold(t, st, record(testID, KindWorkspace, api.StateCreated))
	req := api.CreateRequest{Environment: "host", VCPUCount: 2, MemMiB: 300, DiskMiB: 70}
	got, err := Spec(held, st, req, "/lib/agent")
	if err != nil {
		t.Fatal(err)
	}
	if root := os.Geteuid() == 0; (got.UID == 0) || root == (got.UID == os.Geteuid()) {
		t.Errorf("uid %d for a caller with uid %d", got.UID, os.Geteuid())
	}
	want := engine.Spec{
		ID: testID, Environment: "host", VCPUs: 2, MemMiB: 300, DiskMiB: 70, PIDs: guestPIDs,
		UID: got.UID, Dir: st.SandboxDir(testID), Run: st.RunDir(testID), Agent: "/lib/agent",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantThere(t, got.Run)
	wantGone(t, got.Dir) // the engine makes it
	if err := held.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantGone(t, got.Run)
}
