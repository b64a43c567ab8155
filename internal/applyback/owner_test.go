package applyback

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// ownerOf is who owns a file below the project, and its group.
func (b bench) ownerOf(t *testing.T, name string) heir {
	t.Helper()
	root, err := archive.OpenRoot(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	info, err := root.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return heir{info.UID, info.GID}
}

// TestReplacedFilesKeepTheirOwner: root leaves what others own to them, and what was put
// together by git, too. What is new is root's own.
func TestReplacedFilesKeepTheirOwner(t *testing.T) {
	var missing error
	if os.Geteuid() != 0 {
		missing = errors.New("only root can give files away")
	}
	testgate.Require(t, testgate.Root, missing)
	const lines = "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
	old := tree{"a": file(lines), "b": file(lines), "mode": file("m"), "type": file("t")}
	now := tree{"a": file("0\n" + lines), "b": file("0\n" + lines), "mode": thing{archive.KindFile, 0o755, "m"}, "type": link("a"), "new": file("n")}
	b := newBench(t, old.with(tree{"b": thing{archive.KindFile, 0o640, lines + "10\n"}}))
	b.repository(t)
	theirs := heir{12345, 23456}
	for name := range old {
		if err := os.Chown(filepath.Join(b.dir, name), theirs.uid, theirs.gid); err != nil {
			t.Fatal(err)
		}
	}
	p, err := b.apply(t, old, now)
	if err != nil || p.Result.Summary.Merged != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	for name, want := range map[string]heir{"a": theirs, "b": theirs, "mode": theirs, "new": {0, 0}, "type": {0, 0}} {
		if got := b.ownerOf(t, name); got != want {
			t.Errorf("%s belongs to %v, want %v", name, got, want)
		}
	}
	if got := seen(t, b.dir)["b"].mode; got != 0o640 {
		t.Errorf("b has mode %o", got)
	}
}

// TestOwnersThatCannotBeKept: whoever may not give a file away keeps it.
func TestOwnersThatCannotBeKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if !mayNot(&os.PathError{Op: "fchown", Path: path, Err: syscall.EPERM}) || !mayNot(syscall.EINVAL) || mayNot(syscall.EIO) || mayNot(nil) {
		t.Error("the kernel's errors are not told apart")
	}
	if err := (heir{os.Geteuid(), 54321}).take(f, archive.Info{UID: os.Geteuid(), GID: -2}); err != nil {
		t.Error(err)
	}
	if err := nobodys.take(f, archive.Info{}); err != nil {
		t.Error(err)
	}
}
