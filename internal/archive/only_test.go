package archive_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// packOnly is what AddOnly writes.
func packOnly(t *testing.T, a *arena, dir string, opts archive.PackOptions, members ...string) ([]byte, archive.Counts, archive.Kind, error) {
	t.Helper()
	var out bytes.Buffer
	w := archive.NewWriter(t.Context(), &out, opts)
	kind, err := w.AddOnly(a.open(t), dir, slices.Values(members))
	counts, closeErr := w.Close()
	if err == nil {
		err = closeErr
	}
	return out.Bytes(), counts, kind, err
}

func TestAddOnly(t *testing.T) {
	a := newArena(t)
	must(t, os.MkdirAll(a.path("b/d/e"), 0o755))
	must(t, os.MkdirAll(a.path("full"), 0o755))
	for _, name := range strings.Split("1 2 3 4 5 6 7 8", " ") {
		write(t, a.path("full/"+name), "more than may be looked at")
	}
	write(t, a.path("a"), "long")
	write(t, a.path("b/d/x"), "x")
	must(t, os.Link(a.path("a"), a.path("b/again")))
	must(t, os.Symlink("../a", a.path("b/link")))
	must(t, os.Symlink("b", a.path("to-b")))
	must(t, syscall.Mkfifo(a.path("fifo"), 0o600))
	few := archive.PackOptions{Specials: archive.SpecialsSkipped, Limits: archive.Limits{Entries: 4}}
	for name, test := range map[string]struct {
		dir     string
		members []string
		want    []string
		counts  archive.Counts
		kind    archive.Kind
	}{
		"a file":                  {"", []string{"a"}, []string{"a file 644 4"}, archive.Counts{Entries: 1, Bytes: 4}, "directory"},
		"a file, deep":            {"", []string{"b/d/x"}, []string{"b/d/x file 644 1"}, archive.Counts{Entries: 1, Bytes: 1}, "directory"},
		"a directory alone":       {"", []string{"b/d"}, []string{"b/d directory 755 0"}, archive.Counts{Entries: 1}, "directory"},
		"a full directory alone":  {"", []string{"full"}, []string{"full directory 755 0"}, archive.Counts{Entries: 1}, "directory"},
		"a directory and in it":   {"", []string{"b/d", "b/d/x"}, []string{"b/d directory 755 0", "b/d/x file 644 1"}, archive.Counts{Entries: 2, Bytes: 1}, "directory"},
		"a file and its link":     {"", []string{"a", "b/again"}, []string{"a file 644 4", "b/again file 644 4 = a"}, archive.Counts{Entries: 2, Bytes: 4}, "directory"},
		"a link to what is not":   {"", []string{"b/again"}, []string{"b/again file 644 4"}, archive.Counts{Entries: 1, Bytes: 4}, "directory"},
		"a symlink":               {"", []string{"b/link"}, []string{"b/link symlink 777 0 -> ../a"}, archive.Counts{Entries: 1}, "directory"},
		"what is not there":       {"", []string{"b/none", "none/x"}, nil, archive.Counts{}, "directory"},
		"through a link":          {"", []string{"to-b/d/x"}, nil, archive.Counts{}, "directory"},
		"below a file":            {"", []string{"a/x", "a/x/y"}, nil, archive.Counts{}, "directory"},
		"below what is special":   {"", []string{"fifo/x"}, nil, archive.Counts{}, "directory"},
		"what is special":         {"", []string{"a", "fifo"}, []string{"a file 644 4"}, archive.Counts{Entries: 1, Bytes: 4, Skipped: 1}, "directory"},
		"from a directory":        {"b", []string{"d/x", "link"}, []string{"d/x file 644 1", "link symlink 777 0 -> ../a"}, archive.Counts{Entries: 2, Bytes: 1}, "directory"},
		"from a file":             {"a", []string{"a"}, nil, archive.Counts{}, "file"},
		"from a link":             {"to-b", []string{"d/x"}, nil, archive.Counts{}, "symlink"},
		"here and there and here": {"", []string{"b/d/x", "full/1", "full/2"}, []string{"b/d/x file 644 1", "full/1 file 644 26", "full/2 file 644 26"}, archive.Counts{Entries: 3, Bytes: 53}, "directory"},
	} {
		t.Run(name, func(t *testing.T) {
			data, counts, kind, err := packOnly(t, a, test.dir, few, test.members...)
			if err != nil || counts != test.counts || kind != test.kind {
				t.Errorf("%+v, %s, %v", counts, kind, err)
			}
			if diff := cmp.Diff(test.want, entries(t, data)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddOnlyRefuses(t *testing.T) {
	a := newArena(t)
	write(t, a.path("f"), "long")
	must(t, os.Mkdir(a.path("d"), 0o755))
	must(t, syscall.Mkfifo(a.path("fifo"), 0o600))
	for name, test := range map[string]struct {
		dir    string
		member string
		opts   archive.PackOptions
		want   error
	}{
		"outside":      {"", "../f", archive.PackOptions{}, archive.ErrEscapes},
		"absolute":     {"", "/f", archive.PackOptions{}, archive.ErrEscapes},
		"nothing":      {"", "", archive.PackOptions{}, archive.ErrName},
		"itself":       {"", ".", archive.PackOptions{}, archive.ErrName},
		"a slash":      {"", "d/", archive.PackOptions{}, archive.ErrName},
		"two slashes":  {"", "d//f", archive.PackOptions{}, archive.ErrName},
		"NUL":          {"", "f\x00", archive.PackOptions{}, archive.ErrName},
		"a FIFO":       {"", "fifo", archive.PackOptions{}, archive.ErrSpecial},
		"from a FIFO":  {"fifo", "f", archive.PackOptions{Specials: archive.SpecialsSkipped}, archive.ErrSpecial},
		"from nothing": {"none", "f", archive.PackOptions{}, fs.ErrNotExist},
		"too much":     {"", "f", archive.PackOptions{Limits: archive.Limits{Bytes: 3}}, archive.ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			if _, counts, _, err := packOnly(t, a, test.dir, test.opts, test.member); !errors.Is(err, test.want) || counts.Entries > 0 {
				t.Errorf("%+v, %v", counts, err)
			}
		})
	}
}

// Asked for all that is there, it writes what Pack does.
func TestAddOnlyOfEverythingIsPack(t *testing.T) {
	a := newArena(t)
	for _, name := range strings.Split("x a/b/c a/b.x a/b/d/e a!/f z/y/x", " ") {
		must(t, os.MkdirAll(filepath.Dir(a.path(name)), 0o750))
		write(t, a.path(name), "of "+name)
	}
	must(t, os.Link(a.path("x"), a.path("a/b/x")))
	must(t, os.Symlink("x", a.path("z/link")))
	want, counts, _, err := pack(t, a, "", archive.PackOptions{})
	must(t, err)
	var all []string
	must(t, archive.Walk(t.Context(), a.open(t), "", archive.PackOptions{}, func(path string, _ archive.Info) error {
		all = append(all, path)
		return nil
	}))
	got, same, _, err := packOnly(t, a, "", archive.PackOptions{}, all...)
	if err != nil || same != counts || !bytes.Equal(got, want) {
		t.Errorf("%+v and %+v, %v: %q", same, counts, err, entries(t, got))
	}
}
