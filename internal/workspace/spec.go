package workspace

import (
	"os"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// guestPIDs is how many processes a guest may have.
const guestPIDs = 1024

// Spec is SpecOf for the only sandbox of a workspace.
func Spec(w *store.Workspace, _ *store.Store, req api.CreateRequest, agent string) (engine.Spec, error) {
	return SpecOf(w.Part(0), req, agent)
}

// SpecOf reserves what a sandbox needs beforehand, its run directory and its user, and
// describes it to an engine. The caller holds the workspace; Free of the part frees what
// the sandbox had, and Reap that of all.
func SpecOf(part *store.Part, req api.CreateRequest, agent string) (engine.Spec, error) {
	run, err := part.MakeRunDir()
	if err != nil {
		return engine.Spec{}, err
	}
	uid, err := hostUID(part)
	if err != nil {
		return engine.Spec{}, err
	}
	place := part.Place()
	return engine.Spec{
		ID: place.Name, Environment: req.Environment, VCPUs: req.VCPUCount, MemMiB: req.MemMiB, DiskMiB: req.DiskMiB,
		PIDs: guestPIDs, UID: uid, Dir: place.Sandbox, Run: run, Agent: agent,
	}, nil
}

// hostUID is who the sandbox's processes are on the host: for root somebody that
// nobody else is, for others themselves.
func hostUID(part *store.Part) (int, error) {
	if uid := os.Geteuid(); uid != 0 {
		return uid, nil
	}
	return part.AllocateUID()
}
