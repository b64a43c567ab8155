package enginetest

import (
	"path/filepath"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/engine"
)

func TestFake(t *testing.T) {
	Run(t, Subject{
		Engine: NewFake(t),
		Spec: func(t *testing.T) (engine.Spec, engine.Ledger) {
			dir := t.TempDir()
			return engine.Spec{
				ID: "0123456789ab", Environment: engine.EnvironmentHost, VCPUs: 1, MemMiB: MemMiB, DiskMiB: DiskMiB, PIDs: PIDs,
				Dir: filepath.Join(dir, "sandbox"), Run: dir,
			}, new(Ledger)
		},
	})
}
