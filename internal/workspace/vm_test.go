package workspace

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
)

const otherID = "ba9876543210"

func vmRequest() api.CreateRequest {
	return api.CreateRequest{Environment: "host", MemMiB: 512, TTLSeconds: 60}
}

func TestNewVM(t *testing.T) {
	st := enginetest.NewStore(t)
	now := time.Now()
	made, err := NewVM(t.Context(), st, testID, vmRequest(), api.DefaultPolicy, now)
	if err != nil {
		t.Fatal(err)
	}
	r, err := StatusOfVM(t.Context(), st, testID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made.VM(), r.VM()); diff != "" {
		t.Errorf("as it was made and as it is (-want +got):\n%s", diff)
	}
	vm := r.VM()
	if vm.State != api.StateCreated || vm.ExecutionMode != api.ModePending || vm.VCPUCount != api.DefaultVCPUCount || vm.MemMiB != 512 {
		t.Errorf("got %+v", vm)
	}
	if running, err := st.Running(testID); running || err != nil {
		t.Errorf("somebody holds it: %t, %v", running, err)
	}
	if _, err := NewVM(t.Context(), st, testID, vmRequest(), api.DefaultPolicy, now); !errors.Is(err, api.Exists) {
		t.Errorf("a second one of that id: %v", err)
	}
}

func TestVMsAreNoWorkspaces(t *testing.T) {
	st := enginetest.NewStore(t)
	if _, err := NewVM(t.Context(), st, testID, vmRequest(), api.DefaultPolicy, time.Now()); err != nil {
		t.Fatal(err)
	}
	_ = hold(t, st, record(otherID, KindWorkspace, api.StateStopped))
	list, err := List(t.Context(), st)
	if err != nil || list.Count != 1 || list.Workspaces[0].WorkspaceID != otherID {
		t.Errorf("listed are %+v, %v", list, err)
	}
	if _, err := Find(t.Context(), st, testID); !errors.Is(err, api.NotFound) {
		t.Errorf("found as a workspace: %v", err)
	}
	if _, err := Find(t.Context(), st, otherID); err != nil {
		t.Errorf("a workspace: %v", err)
	}
	if _, err := StatusOfVM(t.Context(), st, otherID); !errors.Is(err, api.NotFound) {
		t.Errorf("a workspace as a VM: %v", err)
	}
	for _, id := range []string{"", "../../../etc", "0123456789AB"} {
		if _, err := StatusOfVM(t.Context(), st, id); !errors.Is(err, api.Invalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestVMsThatAreRefused(t *testing.T) {
	st := enginetest.NewStore(t)
	for name, test := range map[string]struct {
		change func(*api.CreateRequest)
		want   api.Kind
	}{
		"a network":      {func(r *api.CreateRequest) { r.NetworkPolicy = api.NetworkEgress }, api.Unsupported},
		"too long":       {func(r *api.CreateRequest) { r.TTLSeconds = 1 << 30 }, api.Invalid},
		"too small":      {func(r *api.CreateRequest) { r.MemMiB = 1 }, api.Invalid},
		"no environment": {func(r *api.CreateRequest) { r.Environment = "" }, api.Invalid},
	} {
		req := vmRequest()
		test.change(&req)
		if _, err := NewVM(t.Context(), st, testID, req, api.DefaultPolicy, time.Now()); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if ids, err := st.IDs(); err != nil || len(ids) != 0 {
		t.Errorf("left are %v, %v", ids, err)
	}
}

func TestExpiredVMs(t *testing.T) {
	st := enginetest.NewStore(t)
	now := time.Now()
	for id, age := range map[string]time.Duration{testID: time.Hour, otherID: 0} {
		if _, err := NewVM(t.Context(), st, id, vmRequest(), api.DefaultPolicy, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := ExpiredVMs(st, now)
	if err != nil || !slices.Equal(ids, []string{testID}) {
		t.Errorf("expired are %v, %v", ids, err)
	}
	if _, err := StatusOfVM(t.Context(), st, testID); !errors.Is(err, api.NotFound) {
		t.Errorf("an expired one: %v", err)
	}
	if left, err := st.IDs(); err != nil || !slices.Equal(left, []string{otherID}) {
		t.Errorf("whoever meets an expired one removes it: %v, %v", left, err)
	}
}

// TestAsked has what an engine without limits looks at.
func TestAsked(t *testing.T) {
	r := record(testID, KindVM, api.StateStopped)
	r.Request = vmRequest().WithDefaults(api.DefaultPolicy)
	asked := r.Asked(api.DefaultPolicy)
	if asked.VCPUCount != 0 || asked.DiskMiB != 0 || asked.MemMiB != 512 || r.Request.VCPUCount != 1 {
		t.Errorf("asked %+v of %+v", asked, r.Request)
	}
}
