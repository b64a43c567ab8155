package archive_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// TestMain turns descriptors that outlive the tests into a failure. The package
// starts no goroutines.
func TestMain(m *testing.M) {
	before := descriptors()
	code := m.Run()
	if after := descriptors(); code == 0 && after > before {
		fmt.Fprintf(os.Stderr, "descriptors leaked: %d before, %d after\n", before, after)
		code = 1
	}
	os.Exit(code)
}

func descriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	n := 0
	for _, e := range entries {
		// The runtime keeps its poller and what it opened for the test log.
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if filepath.IsAbs(target) && target != os.DevNull {
			n++
		}
	}
	return n
}

const (
	mtime  = 1_500_000_000
	secret = "what lies outside"
)

// arena is a directory with things that must not change and, among them, a root.
type arena struct {
	base    string
	outside string // directory beside the root, as a link from inside would name it: ../outside
	root    string
	before  map[string]string
}

func newArena(t testing.TB) *arena {
	t.Helper()
	a := &arena{base: t.TempDir()}
	a.outside, a.root = filepath.Join(a.base, "outside"), filepath.Join(a.base, "root")
	for _, d := range []string{a.outside, a.root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// An archive may close directories, which an ordinary user then cannot empty.
	t.Cleanup(func() {
		_ = filepath.WalkDir(a.root, func(path string, d fs.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				return os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	write(t, filepath.Join(a.base, "canary"), secret)
	write(t, filepath.Join(a.outside, "canary"), secret)
	a.before = a.look(t)
	return a
}

// look describes all but what is below the root.
func (a *arena) look(t testing.TB) map[string]string {
	t.Helper()
	seen := make(map[string]string)
	err := filepath.WalkDir(a.base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == a.root {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%v %d", info.Mode(), info.Size())
		if path != a.base { // the race tests rename beside the root
			what += info.ModTime().String()
		}
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += string(content)
		}
		seen[path] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func (a *arena) check(t testing.TB) {
	t.Helper()
	if diff := cmp.Diff(a.before, a.look(t)); diff != "" {
		t.Errorf("outside the root (-before +after):\n%s", diff)
	}
}

func (a *arena) path(name string) string { return filepath.Join(a.root, name) }

func (a *arena) open(t testing.TB) *archive.Root {
	t.Helper()
	root, err := archive.OpenRoot(a.root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func (a *arena) unpack(t testing.TB, data []byte, opts archive.UnpackOptions) (archive.Counts, error) {
	t.Helper()
	return archive.Unpack(t.Context(), bytes.NewReader(data), a.open(t), opts)
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// everything is what the guest's agent allows.
var everything = archive.UnpackOptions{
	Formats: archive.TarCompressed,
	Links:   archive.LinksAsData,
	Modes:   archive.ModesKept,
}

// member is one entry of an archive under construction.
type member struct {
	tar.Header
	body string
}

func file(name, body string) member {
	return member{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body))}, body}
}

func directory(name string) member {
	return member{tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}, ""}
}

func symlink(name, target string) member {
	return member{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, ""}
}

func hardLink(name, target string) member {
	return member{tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}, ""}
}

func (m member) mode(mode int64) member {
	m.Mode = mode
	return m
}

func tarball(t testing.TB, members ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range members {
		if m.Typeflag != tar.TypeXGlobalHeader {
			m.ModTime = time.Unix(mtime, 0)
		}
		if err := w.WriteHeader(&m.Header); err != nil {
			t.Fatalf("%q: %v", m.Name, err)
		}
		if _, err := w.Write([]byte(m.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
