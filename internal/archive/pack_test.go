package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// tree fills the root with one of each thing that is carried.
func tree(t *testing.T, a *arena) {
	t.Helper()
	for _, d := range []string{"b", "b/empty", "b/closed"} {
		must(t, os.Mkdir(a.path(d), 0o755))
	}
	write(t, a.path("b/run"), "#!/bin/sh\n")
	must(t, os.Chmod(a.path("b/run"), 0o755))
	must(t, os.Link(a.path("b/run"), a.path("z-again")))
	write(t, a.path("b.txt"), "sorts between b and b/")
	write(t, a.path("new\nline"), "1")
	write(t, a.path("trailing "), "2")
	write(t, a.path("\xff"), "3")
	write(t, a.path(strings.Repeat("n", 255)), "4")
	write(t, a.path("b/closed/x"), "5")
	must(t, os.Symlink("../canary", a.path("b/link")))
	must(t, os.Symlink("/nowhere", a.path("dangling")))
	must(t, os.Chmod(a.path("b/closed"), 0o555))
	old := time.Unix(mtime, 123_000_000)
	must(t, os.Chtimes(a.path("b/run"), old, old))
	must(t, os.Chtimes(a.path("b/empty"), old, old))
}

func pack(t testing.TB, a *arena, path string, opts archive.PackOptions) ([]byte, archive.Counts, archive.Kind, error) {
	t.Helper()
	var out bytes.Buffer
	counts, kind, err := archive.Pack(t.Context(), &out, a.open(t), path, opts)
	return out.Bytes(), counts, kind, err
}

func names(t testing.TB, data []byte) []string {
	t.Helper()
	var names []string
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		hdr, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		must(t, err)
		names = append(names, hdr.Name)
	}
}

func TestRoundTrip(t *testing.T) {
	from, to := newArena(t), newArena(t)
	tree(t, from)
	data, packed, kind, err := pack(t, from, "", archive.PackOptions{})
	if err != nil || kind != archive.KindDirectory {
		t.Fatal(kind, err)
	}
	counts, err := to.unpack(t, data, everything)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(packed, counts); diff != "" {
		t.Errorf("counts (-packed +unpacked):\n%s", diff)
	}
	if counts.Entries != 13 || counts.Bytes != 37 {
		t.Errorf("%+v, want 13 entries of 37 bytes", counts)
	}
	if !same(t, to.path("b/run"), to.path("z-again")) {
		t.Error("the hard link is another file")
	}
	info, err := os.Lstat(to.path("b/empty"))
	if err != nil || info.ModTime().UnixNano() != mtime*1e9 {
		t.Errorf("time %v, %v; want whole seconds", info.ModTime(), err)
	}
	again, _, _, err := pack(t, to, ".", archive.PackOptions{})
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("packed again it is another archive, %v: %q and %q", err, names(t, data), names(t, again))
	}
	from.check(t)
	to.check(t)
}

func TestPackSelects(t *testing.T) {
	tests := map[string]struct {
		path string
		kind archive.Kind
		want []string
	}{
		"directory":       {"b", archive.KindDirectory, []string{"closed/", "closed/x", "empty/", "link", "run"}},
		"file":            {"b/run", archive.KindFile, []string{"run"}},
		"symlink":         {"b/link", archive.KindSymlink, []string{"link"}},
		"empty directory": {"b/empty", archive.KindDirectory, nil},
	}
	a := newArena(t)
	tree(t, a)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data, counts, kind, err := pack(t, a, test.path, archive.PackOptions{})
			if err != nil || kind != test.kind || counts.Entries != len(test.want) {
				t.Errorf("%v, %+v, %v", kind, counts, err)
			}
			if diff := cmp.Diff(test.want, names(t, data)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPackRefuses(t *testing.T) {
	a := newArena(t)
	must(t, os.MkdirAll(a.path("d/e/f"), 0o755))
	write(t, a.path("d/large"), strings.Repeat("x", 1000))
	must(t, syscall.Mkfifo(a.path("fifo"), 0o600))
	must(t, os.Symlink("../outside", a.path("link")))
	tests := map[string]struct {
		path string
		opts archive.PackOptions
		want error
		text string
	}{
		"missing":               {"none", archive.PackOptions{}, fs.ErrNotExist, "does not exist"},
		"missing parent":        {"none/x", archive.PackOptions{}, fs.ErrNotExist, "does not exist"},
		"special":               {"fifo", archive.PackOptions{Specials: archive.SpecialsSkipped}, archive.ErrSpecial, "fifo"},
		"special below":         {"", archive.PackOptions{}, archive.ErrSpecial, "fifo"},
		"through a link":        {"link/canary", archive.PackOptions{}, archive.ErrSymlink, "link"},
		"outside":               {"../canary", archive.PackOptions{}, archive.ErrEscapes, "canary"},
		"absolute":              {"/etc", archive.PackOptions{}, archive.ErrEscapes, "etc"},
		"too many":              {"d", archive.PackOptions{Limits: archive.Limits{Entries: 2}}, archive.ErrLimit, "entries"},
		"too deep":              {"d", archive.PackOptions{Limits: archive.Limits{Depth: 1}}, archive.ErrLimit, "deep"},
		"too large":             {"d", archive.PackOptions{Limits: archive.Limits{Bytes: 999}}, archive.ErrLimit, "large"},
		"name that is too long": {"d", archive.PackOptions{Limits: archive.Limits{NameBytes: 4}}, archive.ErrLimit, "large"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, _, err := pack(t, a, test.path, test.opts)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %v and %q in it", err, test.want, test.text)
			}
		})
	}
}

func TestPackSkipsSpecialFiles(t *testing.T) {
	a := newArena(t)
	must(t, os.Mkdir(a.path("d"), 0o755))
	must(t, syscall.Mkfifo(a.path("d/fifo"), 0o600))
	t.Chdir(a.path("d")) // the name of a socket may not be long
	l, err := net.Listen("unix", "socket")
	must(t, err)
	defer l.Close()
	data, counts, _, err := pack(t, a, "", archive.PackOptions{Specials: archive.SpecialsSkipped})
	if err != nil || counts.Skipped != 2 || counts.Entries != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
	if diff := cmp.Diff([]string{"d/"}, names(t, data)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// TestPackWhileTheTreeChanges: the change happens when the first byte is written,
// that is, after the header of "a" and before its content is read.
func TestPackWhileTheTreeChanges(t *testing.T) {
	tests := map[string]struct {
		change func(a *arena) error
		want   error
		names  []string
	}{
		"grows":    {func(a *arena) error { return os.Truncate(a.path("a"), 300_000) }, nil, []string{"a", "b", "d/", "d/canary"}},
		"shrinks":  {func(a *arena) error { return os.Truncate(a.path("a"), 100) }, archive.ErrChanged, nil},
		"vanishes": {func(a *arena) error { return os.RemoveAll(a.path("b")) }, nil, []string{"a", "d/", "d/canary"}},
		"directory to link": {func(a *arena) error {
			return errors.Join(os.RemoveAll(a.path("d")), os.Symlink("../outside", a.path("d")))
		}, nil, []string{"a", "b", "d"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			write(t, a.path("a"), strings.Repeat("a", 200_000))
			write(t, a.path("b"), "")
			must(t, os.Mkdir(a.path("d"), 0o755))
			write(t, a.path("d/canary"), "the one inside")
			var out bytes.Buffer
			first := writerFunc(func(p []byte) (int, error) {
				if out.Len() == 0 {
					must(t, test.change(a))
				}
				return out.Write(p)
			})
			_, _, err := archive.Pack(t.Context(), first, a.open(t), "", archive.PackOptions{})
			if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if bytes.Contains(out.Bytes(), []byte(secret)) {
				t.Error("it holds a file from outside")
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(test.names, names(t, out.Bytes())); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestPackStopsWhenCancelled(t *testing.T) {
	a := newArena(t)
	write(t, a.path("a"), "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := archive.Pack(ctx, io.Discard, a.open(t), "", archive.PackOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
