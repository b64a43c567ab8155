package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// inventory is what is in a directory: names with their kind, and content or target.
func inventory(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch {
		case d.IsDir():
			found[name] = "directory"
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			found[name] = "-> " + target
			return err
		default:
			data, err := os.ReadFile(path)
			found[name] = string(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// what a stage can be filled with.
var fillings = map[string]func(*archive.Stage) (only string, err error){
	"directory": func(s *archive.Stage) (string, error) {
		root, err := s.Dir()
		if err != nil {
			return "", err
		}
		defer func() { _ = root.Close() }()
		f, err := root.Open("in", os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return "", err
		}
		_, err = f.WriteString("new")
		return "", errors.Join(err, f.Close())
	},
	"file": func(s *archive.Stage) (string, error) {
		f, err := s.File()
		if err != nil {
			return "", err
		}
		_, err = f.WriteString("new")
		return "", errors.Join(err, f.Close())
	},
	"symlink": func(s *archive.Stage) (string, error) {
		root, err := s.Dir()
		if err != nil {
			return "", err
		}
		defer func() { _ = root.Close() }()
		var data bytes.Buffer
		w := tar.NewWriter(&data)
		err = errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "only", Linkname: "nowhere"}), w.Close())
		if err == nil {
			_, err = archive.Unpack(context.Background(), &data, root, archive.UnpackOptions{Links: archive.LinksAsData})
		}
		return "only", err
	},
}

func TestStagePublishes(t *testing.T) {
	made := map[string]map[string]string{
		"directory": {"out": "directory", "out/in": "new"}, "file": {"out": "new"}, "symlink": {"out": "-> nowhere"},
	}
	old := map[string]struct {
		make func(path string) error
		is   map[string]string
	}{
		"nothing":   {func(string) error { return nil }, map[string]string{}},
		"file":      {func(path string) error { return os.WriteFile(path, []byte("old"), 0o400) }, map[string]string{"out": "old"}},
		"empty":     {func(path string) error { return os.Mkdir(path, 0o755) }, map[string]string{"out": "directory"}},
		"directory": {func(path string) error { return os.MkdirAll(filepath.Join(path, "deep", "er"), 0o755) }, map[string]string{"out": "directory", "out/deep": "directory", "out/deep/er": "directory"}},
		"dangling":  {func(path string) error { return os.Symlink("gone", path) }, map[string]string{"out": "-> gone"}},
		"link":      {func(path string) error { return os.Symlink("..", path) }, map[string]string{"out": "-> .."}},
	}
	for what, fill := range fillings {
		for over, before := range old {
			for _, replace := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s over %s, replace %v", what, over, replace), func(t *testing.T) {
					dir := t.TempDir()
					if err := before.make(filepath.Join(dir, "out")); err != nil {
						t.Fatal(err)
					}
					s, err := archive.OpenStage(filepath.Join(dir, "out"))
					if err != nil {
						t.Fatal(err)
					}
					only, err := fill(s)
					if err != nil {
						t.Fatal(err)
					}
					err = s.Publish(only, replace)
					want, refused := made[what], over != "nothing" && !replace
					if refused {
						want = before.is
					}
					if errors.Is(err, fs.ErrExist) != refused || err != nil && !refused {
						t.Errorf("publish: %v, refused is %v", err, refused)
					}
					if err := errors.Join(s.Close(), s.Close()); err != nil {
						t.Errorf("close: %v", err)
					}
					if diff := cmp.Diff(want, inventory(t, dir)); diff != "" {
						t.Errorf("what is there (-want +got):\n%s", diff)
					}
				})
			}
		}
	}
}

func TestStageIsOfNobodyElse(t *testing.T) {
	dir := t.TempDir()
	s, err := archive.OpenStage(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v", entries, err)
	}
	info, err := entries[0].Info()
	if err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("a stage of mode %v, %v", info.Mode(), err)
	}
}

// TestStageOfTheDeadIsRemoved leaves stages as a killed process does: there, and not
// locked.
func TestStageOfTheDeadIsRemoved(t *testing.T) {
	dir := t.TempDir()
	live, err := archive.OpenStage(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = live.Close() }()
	other, err := archive.OpenStage(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	prefix, stays := "", make(map[string]string)
	for _, e := range entries {
		stays[e.Name()] = "directory"
	}
	sub, err := live.Dir()
	if err != nil {
		t.Fatal(err)
	}
	_ = sub.Close()
	for _, e := range entries {
		if _, err := os.Lstat(filepath.Join(dir, e.Name(), "new")); err == nil {
			prefix = e.Name()[:strings.LastIndexByte(e.Name(), '-')+1]
			stays[filepath.Join(e.Name(), "new")] = "directory"
		}
	}
	dead := filepath.Join(dir, prefix+"dead")
	for _, path := range []string{dead, filepath.Join(dead, "new"), filepath.Join(dead, "new", "closed")} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dead, "new", "closed", "f"), "x")
	for _, path := range []string{filepath.Join(dead, "new", "closed"), filepath.Join(dead, "new")} {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
	}
	keep := filepath.Join(dir, "keep")
	write(t, keep, "kept")
	// What only has the name of one is not ours to remove, nor what it leads to.
	if err := os.Symlink(".", filepath.Join(dir, prefix+"link")); err != nil {
		t.Fatal(err)
	}
	stays["keep"], stays[prefix+"link"] = "kept", "-> ."
	next, err := archive.OpenStage(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stays, inventory(t, dir)); diff != "" {
		t.Errorf("what is there (-want +got):\n%s", diff)
	}
}

// TestStageIsHeldByItsDescriptor swaps the parent for a link while the stage is filled:
// all goes where it was to go when it was opened.
func TestStageIsHeldByItsDescriptor(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"parent", "trap"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s, err := archive.OpenStage(filepath.Join(dir, "parent", "out"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(filepath.Join(dir, "parent"), filepath.Join(dir, "moved")), os.Symlink("trap", filepath.Join(dir, "parent"))); err != nil {
		t.Fatal(err)
	}
	only, err := fillings["directory"](s)
	if err := errors.Join(err, s.Publish(only, true), s.Close()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"moved": "directory", "moved/out": "directory", "moved/out/in": "new", "parent": "-> trap", "trap": "directory"}
	if diff := cmp.Diff(want, inventory(t, dir)); diff != "" {
		t.Errorf("what is there (-want +got):\n%s", diff)
	}
}

func TestStageNeedsAName(t *testing.T) {
	for _, path := range []string{"/", ".", "..", "a/.."} {
		if s, err := archive.OpenStage(path); !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, %v", path, s, err)
		}
	}
}

// TestStageDirIsUsableUnderAnyUmask: who fills it must be able to.
func TestStageDirIsUsableUnderAnyUmask(t *testing.T) {
	for umask, want := range map[int]fs.FileMode{0: 0o777, 0o022: 0o755, 0o077: 0o700, 0o777: 0o700} {
		dir := t.TempDir()
		s, err := archive.OpenStage(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		old := unix.Umask(umask)
		_, err = fillings["directory"](s)
		unix.Umask(old)
		if err := errors.Join(err, s.Publish("", false), s.Close()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "out"))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("umask %#o: mode %v, %v; want %v", umask, info.Mode(), err, want)
		}
	}
}
