package truth

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestProgramSucceedsOnThisMachine(t *testing.T) {
	program, err := Program()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "true")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("output %q, error %v, want neither", out, err)
	}
}
