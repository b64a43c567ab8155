package source

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// write makes the file at parts, and the directories above it.
func write(t testing.TB, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func open(t testing.TB, path string, o Options) *Source {
	t.Helper()
	s, err := Open(path, o)
	must(t, err)
	return s
}

// arrive packs what is at path and unpacks it, and returns where.
func arrive(t testing.TB, path string, o Options) string {
	t.Helper()
	var stream bytes.Buffer
	packed, err := open(t, path, o).Pack(t.Context(), &stream)
	must(t, err)
	to := filepath.Join(t.TempDir(), "workspace")
	must(t, os.Mkdir(to, 0o755))
	got := unpack(t, &stream, to)
	if got != packed && packed.Skipped == 0 {
		t.Errorf("packed %+v, unpacked %+v", packed, got)
	}
	return to
}

func unpack(t testing.TB, from io.Reader, to string) archive.Counts {
	t.Helper()
	root, err := archive.OpenRoot(to)
	must(t, err)
	defer root.Close()
	counts, err := archive.Unpack(t.Context(), from, root, archive.UnpackOptions{Links: archive.LinksAsData, Modes: archive.ModesKept})
	must(t, err)
	return counts
}

// packErr is the error of packing what is at path.
func packErr(t testing.TB, path string, o Options) error {
	t.Helper()
	_, err := open(t, path, o).Pack(t.Context(), io.Discard)
	return err
}

// packed lists the names in the archive of what is at path, directories with a slash.
func packed(t testing.TB, path string, o Options) []string {
	t.Helper()
	var stream bytes.Buffer
	_, err := open(t, path, o).Pack(t.Context(), &stream)
	must(t, err)
	return members(t, &stream)
}

func members(t testing.TB, from io.Reader) []string {
	t.Helper()
	var names []string
	for r := tar.NewReader(from); ; {
		hdr, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		must(t, err)
		names = append(names, hdr.Name)
	}
}

// listed is what Entries lists, in the form of packed.
func listed(t testing.TB, path string, o Options) []string {
	t.Helper()
	entries, ok, err := open(t, path, o).Entries(t.Context())
	must(t, err)
	if !ok {
		t.Fatal("cannot be listed")
	}
	var names []string
	for _, e := range entries {
		name := e.Path
		if e.Kind == archive.KindDirectory {
			name += "/"
		}
		names = append(names, name)
	}
	return names
}

// git runs git in dir and returns what it says.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := gitCommand(t.Context(), dir, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("git %q in %s: %v: %s", args, dir, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}

func gitCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	settings := []string{
		"-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "init.defaultBranch=main",
		"-c", "protocol.file.allow=always", "-c", "advice.detachedHead=false",
	}
	return exec.CommandContext(ctx, "git", slices.Concat(settings, []string{"-C", dir}, args)...)
}

// newRepo makes a repository with two commits and a branch.
func newRepo(t testing.TB, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	git(t, dir, "init", "-q")
	write(t, filepath.Join(dir, "a"), "1\n")
	write(t, filepath.Join(dir, "b/c"), "2\n")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-qm", "first")
	git(t, dir, "branch", "side")
	write(t, filepath.Join(dir, "a"), "3\n")
	git(t, dir, "commit", "-qam", "second")
}

// dirty makes changes of each kind in a work tree.
func dirty(t testing.TB, dir string) {
	t.Helper()
	write(t, filepath.Join(dir, "a"), "changed\n")
	write(t, filepath.Join(dir, "staged"), "staged\n")
	git(t, dir, "add", "staged")
	write(t, filepath.Join(dir, "untracked"), "new\n")
}

// sameRepository compares what git says in two work trees.
func sameRepository(t *testing.T, want, got string) {
	t.Helper()
	for _, args := range []string{
		"status --porcelain=v2 --branch", "log --all --decorate --format=%H%d%s", "diff HEAD", "reflog", "fsck --strict",
	} {
		one, other := git(t, want, strings.Fields(args)...), git(t, got, strings.Fields(args)...)
		if one != other {
			t.Errorf("git %s: here\n%s\narrived\n%s", args, one, other)
		}
	}
	if info, err := os.Lstat(filepath.Join(got, ".git")); err != nil || !info.IsDir() {
		t.Errorf(".git: %v, %v, want a directory", info, err)
	}
}

// works makes a commit in a repository that has arrived.
func works(t *testing.T, got string) {
	t.Helper()
	write(t, filepath.Join(got, "made-here"), "1\n")
	git(t, got, "add", "-A", "--sparse")
	git(t, got, "commit", "-qm", "in the workspace")
	if left := git(t, got, "status", "--porcelain"); left != "" {
		t.Errorf("after a commit: %s", left)
	}
}
