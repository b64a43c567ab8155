package workspace

import (
	"os"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// guestPIDs is how many processes a guest may have.
const guestPIDs = 1024

// Spec reserves what a sandbox needs beforehand, its run directory and its user, and
// describes it to an engine. The caller holds the workspace; Reap frees both.
func Spec(w *store.Workspace, st *store.Store, req api.CreateRequest, agent string) (engine.Spec, error) {
	run, err := w.MakeRunDir()
	if err != nil {
		return engine.Spec{}, err
	}
	uid, err := hostUID(w)
	if err != nil {
		return engine.Spec{}, err
	}
	return engine.Spec{
		ID: w.ID(), Environment: req.Environment, VCPUs: req.VCPUCount, MemMiB: req.MemMiB, DiskMiB: req.DiskMiB,
		PIDs: guestPIDs, UID: uid, Dir: st.SandboxDir(w.ID()), Run: run, Agent: agent,
	}, nil
}

// hostUID is who the sandbox's processes are on the host: for root somebody that
// nobody else is, for others themselves.
func hostUID(w *store.Workspace) (int, error) {
	if uid := os.Geteuid(); uid != 0 {
		return uid, nil
	}
	return w.AllocateUID()
}
