package enginetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/store"
)

// NewStore opens a store of its own that vanishes with the test. Its paths are short,
// which t.TempDir's are not, so that sockets fit below; and sandboxes of root, which
// have users of their own, can pass.
func NewStore(t testing.TB) *store.Store {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	dirs, err := store.FindDirs(func(name string) string {
		return map[string]string{
			"PYRO_STATE_DIR": filepath.Join(dir, "s"), "PYRO_CACHE_DIR": filepath.Join(dir, "c"),
			"PYRO_RUN_DIR": filepath.Join(dir, "r"), "PYRO_SANDBOX_DIR": filepath.Join(dir, "x"),
		}[name]
	}, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(dirs)
	if err != nil {
		t.Fatal(err)
	}
	return st
}
