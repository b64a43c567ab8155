package enginetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// damagedImage cuts, empties and removes what an engine reads first. What it only
// reads later is found by digests, which are not its business.
func damagedImage(t *testing.T, s Subject) {
	box := Start(t, s)
	workspace(t, box, "mkdir d; head -c 100000 /dev/urandom >d/f; for i in 1 2 3 4 5 6 7 8 9; do echo $i >d/$i; done")
	whole := save(t, box)
	entries, err := os.ReadDir(whole)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("missing", func(t *testing.T) { wantRefused(t, s, filepath.Join(whole, "none")) })
	t.Run("empty", func(t *testing.T) { wantRefused(t, s, imageDir(t)) })
	t.Run("foreign", func(t *testing.T) {
		dir := imageDir(t)
		if err := os.WriteFile(filepath.Join(dir, "disk.qcow2"), []byte("QFI\xfb"), 0o644); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, s, dir)
	})
	for _, e := range entries {
		t.Run("without "+e.Name(), func(t *testing.T) {
			dir := copyImage(t, whole)
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
			wantRefused(t, s, dir)
		})
		for _, part := range []int64{0, 2} {
			if e.Name() == "pages.img" {
				continue // gVisor reads content only when it is asked for
			}
			t.Run("cut "+e.Name(), func(t *testing.T) {
				dir := copyImage(t, whole)
				cut(t, filepath.Join(dir, e.Name()), part)
				wantRefused(t, s, dir)
			})
		}
	}
}

// wantRefused wants an engine not to start from a disk, and to name it.
func wantRefused(t *testing.T, s Subject, disk string) {
	t.Helper()
	spec, ledger := s.Spec(t)
	spec.Disk = disk
	box, err := s.Engine.Start(t.Context(), spec, ledger)
	if err == nil {
		_ = box.Stop(t.Context())
		t.Fatal("it started")
	}
	if text := err.Error(); !strings.Contains(text, "saved disk "+disk) {
		t.Errorf("the error does not say what is wrong: %v", err)
	}
}

// cut leaves that part in four of a file.
func cut(t *testing.T, name string, part int64) {
	t.Helper()
	info, err := os.Stat(name)
	if err == nil {
		err = os.Truncate(name, info.Size()*part/4)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func copyImage(t *testing.T, from string) string {
	t.Helper()
	to := imageDir(t)
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(from)
	if err == nil {
		err = os.Chmod(to, info.Mode())
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}
