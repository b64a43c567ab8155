package store_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/store"
)

// What is superseded is overwritten, and one of the two has the name at any moment.
func TestSupersede(t *testing.T) {
	dir := t.TempDir()
	path, fresh := filepath.Join(dir, "S"), filepath.Join(dir, "S.tmp")
	for _, value := range []string{"the first value", "another"} {
		old, _ := os.Open(path) // what there was, whatever its name
		if err := os.WriteFile(fresh, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := store.Supersede(path, fresh); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != value {
			t.Errorf("%q, %v", got, err)
		}
		if old == nil {
			continue
		}
		left, err := io.ReadAll(old)
		if err != nil || strings.Trim(string(left), "\x00") != "" || len(left) == 0 {
			t.Errorf("left is %q, %v", left, err)
		}
		_ = old.Close()
	}
	if err := store.Supersede(path, filepath.Join(dir, "none")); err == nil {
		t.Error("nothing took its place")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "another" {
		t.Errorf("after a failure: %q, %v", got, err)
	}
}
