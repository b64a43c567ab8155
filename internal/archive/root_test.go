package archive_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// verbs are all methods that take a path.
var verbs = map[string]func(r *archive.Root, path string) error{
	"Open": func(r *archive.Root, path string) error {
		f, err := r.Open(path, os.O_RDONLY, 0)
		if err == nil {
			err = f.Close()
		}
		return err
	},
	"Open to create": func(r *archive.Root, path string) error {
		f, err := r.Open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err == nil {
			err = f.Close()
		}
		return err
	},
	"Stat":      func(r *archive.Root, path string) error { _, err := r.Stat(path); return err },
	"ReadDir":   func(r *archive.Root, path string) error { _, err := r.ReadDir(path, 10); return err },
	"Readlink":  func(r *archive.Root, path string) error { _, err := r.Readlink(path); return err },
	"MkdirAll":  func(r *archive.Root, path string) error { return r.MkdirAll(path, 0o755) },
	"Remove":    func(r *archive.Root, path string) error { return r.Remove(path) },
	"Rename":    func(r *archive.Root, path string) error { return r.Rename(path, "renamed") },
	"Rename to": func(r *archive.Root, path string) error { return r.Rename("file", path) },
	"Sub": func(r *archive.Root, path string) error {
		sub, err := r.Sub(path)
		if err == nil {
			err = sub.Close()
		}
		return err
	},
}

func TestRootHolds(t *testing.T) {
	for verb, do := range verbs {
		for path, want := range map[string]error{
			"../canary":         archive.ErrEscapes,
			"/etc/passwd":       archive.ErrEscapes,
			"d/../../canary":    archive.ErrEscapes,
			"d/..":              archive.ErrEscapes,
			"a\x00b":            archive.ErrName,
			"link/canary":       archive.ErrSymlink,
			"link/none":         archive.ErrSymlink,
			"inside/x":          archive.ErrSymlink,
			"d/absolute/canary": archive.ErrSymlink,
			"file/x":            syscall.ENOTDIR,
		} {
			t.Run(fmt.Sprintf("%s %q", verb, path), func(t *testing.T) {
				a := newArena(t)
				must(t, os.Mkdir(a.path("d"), 0o755))
				write(t, a.path("file"), "")
				must(t, os.Symlink("../outside", a.path("link")))
				must(t, os.Symlink("d", a.path("inside")))
				must(t, os.Symlink(a.outside, a.path("d/absolute")))
				if err := do(a.open(t), path); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
				a.check(t)
			})
		}
	}
}

func TestRootOpensNoLinkItself(t *testing.T) {
	for verb, want := range map[string]error{
		"Open": archive.ErrSymlink, "Open to create": archive.ErrSymlink, "ReadDir": archive.ErrSymlink, "MkdirAll": archive.ErrSymlink,
		"Sub": archive.ErrSymlink, "Stat": nil, "Readlink": nil, "Remove": nil, "Rename": nil,
	} {
		for _, target := range []string{"../outside", "../canary", "../new"} {
			t.Run(verb+" "+target, func(t *testing.T) {
				a := newArena(t)
				must(t, os.Symlink(target, a.path("l")))
				if err := verbs[verb](a.open(t), "l"); !errors.Is(err, want) || (want == nil) != (err == nil) {
					t.Errorf("got %v, want %v", err, want)
				}
				a.check(t)
			})
		}
	}
}

func TestRootMissing(t *testing.T) {
	for verb, do := range verbs {
		if verb == "MkdirAll" {
			continue
		}
		err := do(newArena(t).open(t), "none/at all")
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want ErrNotExist", verb, err)
		}
	}
	_, err := newArena(t).open(t).Stat("none")
	if got, want := fmt.Sprint(err), `stat "none": file does not exist`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRootWorks(t *testing.T) {
	a := newArena(t)
	r := a.open(t)
	must(t, r.MkdirAll("a/b/c", 0o755))
	must(t, r.MkdirAll("a/b/c", 0o755))
	f, err := r.Open("a/b/f", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	must(t, err)
	_, err = io.WriteString(f, "content")
	must(t, errors.Join(err, f.Close()))
	must(t, os.Symlink("../..", a.path("a/b/l")))
	must(t, r.Rename("a/b/f", "a/g"))
	must(t, r.Remove("a/b/c"))
	got, err := r.ReadDir("a", 2)
	must(t, err)
	want := []archive.Info{{Name: "b", Kind: archive.KindDirectory, Mode: 0o755}, {Name: "g", Kind: archive.KindFile, Mode: 0o640, Size: 7}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(archive.Info{}, "ModTime", "Bits", "Links", "Device", "Inode", "ModTimeNS", "ChangeTimeNS", "UID", "GID")); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if _, err := r.ReadDir("a", 1); !errors.Is(err, archive.ErrLimit) {
		t.Errorf("got %v, want ErrLimit", err)
	}
	sub, err := r.Sub("a/b")
	must(t, err)
	defer sub.Close()
	if target, err := sub.Readlink("l"); target != "../.." {
		t.Errorf("%q, %v", target, err)
	}
	if info, err := r.Stat(""); info.Kind != archive.KindDirectory {
		t.Errorf("%+v, %v", info, err)
	}
	if err := r.Remove("a"); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("got %v, want ENOTEMPTY", err)
	}
}

func TestRootNeverWaitsForAFIFO(t *testing.T) {
	a := newArena(t)
	must(t, syscall.Mkfifo(a.path("fifo"), 0o600))
	for _, flags := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR} {
		if f, err := a.open(t).Open("fifo", flags, 0); err == nil {
			_ = f.Close()
			t.Errorf("flags %#x: a FIFO was opened", flags)
		}
	}
}
