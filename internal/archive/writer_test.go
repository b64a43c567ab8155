package archive_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// entries indexes an archive and describes each member in a line.
func entries(t testing.TB, data []byte) []string {
	t.Helper()
	var lines []string
	counts, err := archive.Index(t.Context(), bytes.NewReader(data), archive.Limits{}, func(e archive.Entry) error {
		line := fmt.Sprintf("%s %s %o %d", e.Path, e.Kind, e.Mode, e.Size)
		if e.Target != "" {
			line += " -> " + e.Target
		}
		if e.LinkTo != "" {
			line += " = " + e.LinkTo
		}
		lines = append(lines, line)
		return nil
	})
	must(t, err)
	if counts.Entries != len(lines) {
		t.Errorf("%+v for %d members", counts, len(lines))
	}
	return lines
}

func TestWriterPutsPlacesTogether(t *testing.T) {
	a := newArena(t)
	must(t, os.MkdirAll(a.path("one/sub"), 0o755))
	must(t, os.Mkdir(a.path("two"), 0o700))
	write(t, a.path("one/sub/f"), "12345")
	must(t, os.Link(a.path("one/sub/f"), a.path("two/same")))
	must(t, os.Symlink("../f", a.path("two/link")))
	root, when := a.open(t), time.Unix(mtime, 999)
	var out bytes.Buffer
	w := archive.NewWriter(t.Context(), &out, archive.PackOptions{})
	must(t, w.AddDir("meta", 0o750, when))
	must(t, w.AddFile("meta/note.json", 0o4600, when, []byte("{}")))
	kind, err := w.Add(root, "one", "")
	if err != nil || kind != archive.KindDirectory {
		t.Errorf("%v, %v", kind, err)
	}
	_, err = w.Add(root, "two", "t//./wo/")
	must(t, err)
	_, err = w.Add(root, "two/link", "alone")
	must(t, err)
	counts, err := w.Close()
	if err != nil || counts != (archive.Counts{Entries: 7, Bytes: 7}) {
		t.Errorf("%+v, %v", counts, err)
	}
	want := []string{
		"meta directory 750 0", "meta/note.json file 4600 2",
		"sub directory 755 0", "sub/f file 644 5",
		"t/wo/link symlink 777 0 -> ../f", "t/wo/same file 644 5 = sub/f",
		"alone/link symlink 777 0 -> ../f",
	}
	if diff := cmp.Diff(want, entries(t, out.Bytes())); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestWriterChooses(t *testing.T) {
	only := func(names ...string) func(string, archive.Info) bool {
		return func(path string, _ archive.Info) bool { return slices.Contains(names, path) }
	}
	tests := map[string]struct {
		opts archive.PackOptions
		want []string
	}{
		"all but one directory": {
			archive.PackOptions{Skip: func(path string, _ archive.Info) bool { return path == "b" }},
			[]string{"a", "c"},
		},
		"one file":                  {archive.PackOptions{Only: only("b/x")}, []string{"b/x"}},
		"one file and its parent":   {archive.PackOptions{Only: only("b/x", "b")}, []string{"b/", "b/x"}},
		"the second name of a file": {archive.PackOptions{Only: only("c")}, []string{"c"}},
		"by what it is": {
			archive.PackOptions{Skip: func(_ string, info archive.Info) bool { return info.Kind == archive.KindFile && info.Size > 1 }},
			[]string{"b/", "b/x"},
		},
		"skip before limits": {
			archive.PackOptions{Limits: archive.Limits{Bytes: 1}, Skip: func(path string, _ archive.Info) bool { return path != "b" && path != "b/x" }},
			[]string{"b/", "b/x"},
		},
	}
	a := newArena(t)
	must(t, os.Mkdir(a.path("b"), 0o755))
	write(t, a.path("a"), "long")
	write(t, a.path("b/x"), "x")
	must(t, os.Link(a.path("a"), a.path("c")))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var told []int
			test.opts.Seen = func(c archive.Counts) { told = append(told, c.Entries) }
			data, counts, _, err := pack(t, a, "", test.opts)
			if err != nil || counts.Entries != len(test.want) {
				t.Errorf("%+v, %v", counts, err)
			}
			if diff := cmp.Diff(test.want, names(t, data)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if len(told) != len(test.want) || told[len(told)-1] != len(test.want) {
				t.Errorf("told of %v members", told)
			}
			if _, err := newArena(t).unpack(t, data, everything); err != nil {
				t.Errorf("it cannot be unpacked: %v", err)
			}
		})
	}
}

func TestSkippedSpecialFileIsNoError(t *testing.T) {
	a := newArena(t)
	must(t, syscall.Mkfifo(a.path("fifo"), 0o600))
	skip := func(_ string, info archive.Info) bool { return info.Kind == archive.KindSpecial }
	if _, counts, _, err := pack(t, a, "", archive.PackOptions{Skip: skip}); err != nil || counts != (archive.Counts{}) {
		t.Errorf("%+v, %v", counts, err)
	}
}

func TestWriterRefusesNames(t *testing.T) {
	when := time.Unix(mtime, 0)
	root := newArena(t).open(t)
	adds := map[string]func(w *archive.Writer, name string) error{
		"file":      func(w *archive.Writer, name string) error { return w.AddFile(name, 0o644, when, nil) },
		"directory": func(w *archive.Writer, name string) error { return w.AddDir(name, 0o755, when) },
	}
	for _, name := range append(append([]string{"", "a\x00b"}, emptyNames...), escapingNames...) {
		for what, add := range adds {
			w := archive.NewWriter(t.Context(), io.Discard, archive.PackOptions{})
			first := add(w, name)
			if !errors.Is(first, archive.ErrName) && !errors.Is(first, archive.ErrEscapes) {
				t.Errorf("%s %q: got %v", what, name, first)
			}
			if _, err := w.Close(); err != first {
				t.Errorf("%s %q: closed with %v", what, name, err)
			}
		}
	}
	for _, prefix := range []string{"..", "/", "a/../b", "\x00"} {
		if _, err := archive.NewWriter(t.Context(), io.Discard, archive.PackOptions{}).Add(root, "", prefix); err == nil {
			t.Errorf("prefix %q was taken", prefix)
		}
	}
}

func TestWriterKeepsLimitsOverAllThatIsAdded(t *testing.T) {
	a := newArena(t)
	write(t, a.path("f"), "123")
	root, when := a.open(t), time.Unix(mtime, 0)
	for name, limits := range map[string]archive.Limits{
		"entries": {Entries: 2}, "bytes": {Bytes: 6}, "depth": {Depth: 2}, "name": {NameBytes: 4},
	} {
		w := archive.NewWriter(t.Context(), io.Discard, archive.PackOptions{Limits: limits})
		must(t, w.AddFile("a", 0o644, when, []byte("123")))
		_, err := w.Add(root, "", "b")
		must(t, err)
		if _, err := w.Add(root, "", "c/c/c"); !errors.Is(err, archive.ErrLimit) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := w.AddFile("b", 0o644, when, nil); !errors.Is(err, archive.ErrLimit) {
			t.Errorf("%s: after an error got %v", name, err)
		}
	}
}

func TestWriterSaysThatNothingCanBeWritten(t *testing.T) {
	broken := errors.New("broken pipe")
	w := archive.NewWriter(t.Context(), writerFunc(func([]byte) (int, error) { return 0, broken }), archive.PackOptions{})
	must(t, w.AddDir("d", 0o755, time.Unix(mtime, 0)))
	if _, err := w.Close(); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := w.AddDir("e", 0o755, time.Unix(mtime, 0)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
