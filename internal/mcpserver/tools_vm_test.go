package mcpserver

import (
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

func TestVMRun(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Profile: ProfileRun}, nil)
	got := must[vmExecAnswer](t, s, "vm_run", map[string]any{"environment": "host", "command": "echo out; echo err >&2; exit 3"})
	if got.Stdout != "out\n" || got.Stderr != "err\n" || got.ExitCode != 3 || got.Truncated || !got.Cleanup.Deleted || got.Cleanup.Reason != api.ReasonPostExecCleanup {
		t.Errorf("got %+v", got)
	}
	_, failure := ask[vmExecAnswer](t, s, "vm_run", map[string]any{"environment": "host", "command": "true", "network": true})
	if !strings.Contains(failure, "network policy") {
		t.Errorf("a network that there is not: %q", failure)
	}
}

// TestLifeOfAVM takes the steps of vm_run one by one.
func TestLifeOfAVM(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Profile: ProfileFull}, nil)
	made := must[api.VM](t, s, "vm_create", map[string]any{"environment": "host", "mem_mib": 512})
	if made.State != api.StateCreated || made.VCPUCount != 1 || made.MemMiB != 512 || made.TTLSeconds != 600 || made.ExecutionMode != api.ModePending || made.Engine != "" {
		t.Errorf("made: %+v", made)
	}
	id := map[string]any{"vm_id": made.VMID}
	if _, failure := ask[vmExecAnswer](t, s, "vm_exec", map[string]any{"vm_id": made.VMID, "command": "true"}); !strings.Contains(failure, "it is not started") {
		t.Errorf("a command before the start: %q", failure)
	}
	if list := must[listAnswer](t, s, "workspace_list", nil); list.Count != 0 {
		t.Errorf("it is listed as a workspace: %+v", list)
	}
	for _, tool := range []string{"workspace_status", "workspace_start", "workspace_stop", "workspace_logs", "workspace_delete"} {
		if _, failure := ask[map[string]any](t, s, tool, map[string]any{"workspace_id": made.VMID}); !strings.Contains(failure, "that is a VM") {
			t.Errorf("%s takes it: %q", tool, failure)
		}
	}
	for range 2 {
		started := must[api.VM](t, s, "vm_start", id)
		if started.State != api.StateStarted || started.ExecutionMode == api.ModePending || started.Engine == "" || started.CreatedAt != made.CreatedAt || *started.ExpiresAt != *made.ExpiresAt {
			t.Errorf("started: %+v", started)
		}
	}
	if network := must[api.VMNetwork](t, s, "vm_network_info", id); network.NetworkEnabled || network.OutboundConnectivityExpected || network.Reason == "" {
		t.Errorf("network: %+v", network)
	}
	if stopped := must[api.VM](t, s, "vm_stop", id); stopped.State != api.StateStopped {
		t.Errorf("stopped: %+v", stopped)
	}
	must[api.VM](t, s, "vm_start", id)
	done := must[vmExecAnswer](t, s, "vm_exec", map[string]any{"vm_id": made.VMID, "command": "echo here; exit 4"})
	if done.Stdout != "here\n" || done.ExitCode != 4 || done.VMID != made.VMID || !done.Cleanup.Deleted || done.Cleanup.Reason != api.ReasonPostExecCleanup {
		t.Errorf("done: %+v", done)
	}
	for _, tool := range []string{"vm_status", "vm_start", "vm_stop", "vm_delete", "vm_network_info"} {
		if _, failure := ask[map[string]any](t, s, tool, id); !strings.Contains(failure, "make another") {
			t.Errorf("%s of one that is used up: %q", tool, failure)
		}
	}
}

func TestVMsAreDeleted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := connect(t, Options{Open: p.open, Profile: ProfileFull}, nil)
	for _, start := range []bool{false, true} {
		id := map[string]any{"vm_id": must[api.VM](t, s, "vm_create", map[string]any{"environment": "host"}).VMID}
		if start {
			must[api.VM](t, s, "vm_start", id)
		}
		if got := must[api.VMDelete](t, s, "vm_delete", id); !got.Deleted || got.VMID != id["vm_id"] || got.Reason != api.ReasonExplicitDelete {
			t.Errorf("got %+v", got)
		}
	}
	if got := must[api.VMReap](t, s, "vm_reap_expired", nil); got.Count != 0 || got.DeletedVMIDs == nil {
		t.Errorf("reaped %+v", got)
	}
}

func TestWorkspacesAreNoVMs(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Profile: ProfileFull}, nil)
	id := newWorkspace(t, s)
	for _, tool := range []string{"vm_status", "vm_start", "vm_stop", "vm_delete", "vm_network_info"} {
		if _, failure := ask[map[string]any](t, s, tool, map[string]any{"vm_id": id}); !strings.Contains(failure, "Error executing tool "+tool) {
			t.Errorf("%s takes a workspace: %q", tool, failure)
		}
	}
	if got := execIn(t, s, id, "echo alive"); got.Stdout != "alive\n" {
		t.Errorf("got %+v", got)
	}
}

func TestVMThatCannotBeMade(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Profile: ProfileFull}, nil)
	for name, arguments := range map[string]map[string]any{
		"a network": {"environment": "host", "network": true}, "no environment": {"environment": ""}, "a long life": {"environment": "host", "ttl_seconds": 1 << 40},
	} {
		if _, failure := ask[api.VM](t, s, "vm_create", arguments); !strings.Contains(failure, "create VM") {
			t.Errorf("%s: %q", name, failure)
		}
	}
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Profile: ProfileFull}, nil)
	got := must[environmentsAnswer](t, s, "vm_list_environments", nil)
	if len(got.Result) != 1 || got.Result[0].Name != "host" || !got.Result[0].Installed || got.Result[0].Distribution == "" {
		t.Errorf("got %+v", got)
	}
}
