package workspace

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// tree is a clean archive of a few members.
func tree(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o750},
		{Typeflag: tar.TypeReg, Name: "d/f", Mode: 0o755, Size: 4},
		{Typeflag: tar.TypeLink, Name: "d/hard", Linkname: "d/f", Mode: 0o755},
		{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "../outside", Mode: 0o777},
	} {
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte("data")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// keep writes a baseline in pieces of odd sizes.
func keep(t *testing.T, archive []byte) (dir string, b *Baseline) {
	t.Helper()
	dir = t.TempDir()
	w, err := NewBaseline(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for rest := archive; len(rest) > 0; {
		n := min(len(rest), 777)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	b, counts, err := w.Commit()
	if err != nil || counts.Entries != 4 || counts.Bytes != 4 {
		t.Fatalf("%+v, %v", counts, err)
	}
	return dir, b
}

func TestBaselineIsKept(t *testing.T) {
	archive := tree(t)
	dir, b := keep(t, archive)
	kept, err := os.ReadFile(filepath.Join(dir, baselineName, archiveName))
	if err != nil || !bytes.Equal(kept, archive) || b.ArchiveSize != int64(len(archive)) {
		t.Errorf("%d bytes of %d are kept, %v", len(kept), len(archive), err)
	}
	if err := b.Verify(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

func TestDamagedBaselineIsRefused(t *testing.T) {
	for name, damage := range map[string]func(path string, data []byte) error{
		"cut": func(p string, data []byte) error { return os.WriteFile(p, data[:len(data)-512], 0o600) },
		"one byte": func(p string, data []byte) error {
			return os.WriteFile(p, bytes.Replace(data, []byte("data"), []byte("dada"), 1), 0o600)
		},
		"one mode": func(p string, data []byte) error {
			return os.WriteFile(p, bytes.Replace(data, []byte("d/f"), []byte("d/g"), 1), 0o600)
		},
		"gone": func(p string, _ []byte) error { return os.Remove(p) },
	} {
		t.Run(name, func(t *testing.T) {
			archive := tree(t)
			dir, b := keep(t, archive)
			if err := damage(filepath.Join(dir, baselineName, archiveName), archive); err != nil {
				t.Fatal(err)
			}
			if err := b.Verify(t.Context(), dir); api.KindOf(err) != api.Conflict || !strings.Contains(err.Error(), "seed is damaged") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// A stream that is no archive is refused while it passes, or at its end.
func TestBaselineOfGarbage(t *testing.T) {
	for _, garbage := range [][]byte{nil, []byte("garbage"), tree(t)[:2048], bytes.Repeat([]byte("x"), 1<<20)} {
		w, err := NewBaseline(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		_, writeErr := w.Write(garbage)
		if _, _, err := w.Commit(); errors.Join(writeErr, err) == nil {
			t.Errorf("%d bytes were kept", len(garbage))
		}
	}
}

func TestAbandonedBaseline(t *testing.T) {
	w, err := NewBaseline(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(tree(t)[:700]); err != nil {
		t.Fatal(err)
	}
	w.Abandon() // returns, and leaves no goroutine
}

// Opening a FIFO would wait for ever.
func TestBaselineThatIsNoFile(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"fifo":      func(path string) error { return exec.Command("mkfifo", path).Run() },
		"link":      func(path string) error { return os.Symlink("/dev/zero", path) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, b := keep(t, tree(t))
			path := filepath.Join(dir, baselineName, archiveName)
			if err := errors.Join(os.Remove(path), replace(path)); err != nil {
				t.Fatal(err)
			}
			if err := b.Verify(t.Context(), dir); api.KindOf(err) != api.Conflict || !strings.Contains(err.Error(), "is no regular file") {
				t.Error(err)
			}
		})
	}
}
