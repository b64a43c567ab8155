package archive_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

func walk(t *testing.T, a *arena, path string, opts archive.PackOptions) (map[string]archive.Info, []string, error) {
	t.Helper()
	infos := make(map[string]archive.Info)
	var order []string
	err := archive.Walk(t.Context(), a.open(t), path, opts, func(path string, info archive.Info) error {
		infos[path] = info
		order = append(order, path)
		return nil
	})
	return infos, order, err
}

func TestWalkTellsWhatPackWrites(t *testing.T) {
	a := newArena(t)
	tree(t, a)
	opts := archive.PackOptions{Skip: func(path string, _ archive.Info) bool { return path == "b/closed" }}
	for _, path := range []string{"", "b", "b/run", "dangling", "b/empty"} {
		data, _, _, err := pack(t, a, path, opts)
		must(t, err)
		var want []string
		for _, name := range names(t, data) {
			want = append(want, strings.TrimSuffix(name, "/"))
		}
		_, got, err := walk(t, a, path, opts)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-packed +walked):\n%s", path, diff)
		}
	}
}

func TestWalkDescribes(t *testing.T) {
	a := newArena(t)
	tree(t, a)
	must(t, os.Chmod(a.path("b/run"), 0o755|fs.ModeSetuid))
	infos, _, err := walk(t, a, "", archive.PackOptions{})
	must(t, err)
	run, again := infos["b/run"], infos["z-again"]
	if run.Kind != archive.KindFile || run.Bits != 0o4755 || run.Size != 10 || run.Links != 2 {
		t.Errorf("%+v", run)
	}
	if run.Inode != again.Inode || run.Device != again.Device || again.Size != 10 {
		t.Errorf("%+v is another file than %+v", run, again)
	}
	if run.ModTime.UnixNano() != mtime*1e9 || run.ModTimeNS != mtime*1e9+123_000_000 || run.ChangeTimeNS <= run.ModTimeNS {
		t.Errorf("times %+v", run)
	}
	if got := infos["dangling"]; got.Kind != archive.KindSymlink || got.Target != "/nowhere" {
		t.Errorf("%+v", got)
	}
}

// TestWalkOpensDirectoriesOnly: what cannot be read is described all the same, and a
// FIFO is not waited for.
func TestWalkOpensDirectoriesOnly(t *testing.T) {
	a := newArena(t)
	write(t, a.path("secret"), "")
	must(t, os.Chmod(a.path("secret"), 0))
	must(t, syscall.Mkfifo(a.path("fifo"), 0o600))
	_, order, err := walk(t, a, "", archive.PackOptions{Specials: archive.SpecialsSkipped})
	if err != nil || len(order) != 1 {
		t.Errorf("%v, %v", order, err)
	}
}

func TestWalkRefuses(t *testing.T) {
	a := newArena(t)
	must(t, os.MkdirAll(a.path("d/e"), 0o755))
	write(t, a.path("d/f"), "12")
	write(t, a.path("d/g"), "3")
	must(t, syscall.Mkfifo(a.path("fifo"), 0o600))
	must(t, os.Symlink("../outside", a.path("link")))
	mine := errors.New("mine")
	nothing := func(string, archive.Info) error { return nil }
	tests := map[string]struct {
		path string
		opts archive.PackOptions
		each func(string, archive.Info) error
		want error
	}{
		"missing":        {"none", archive.PackOptions{}, nothing, fs.ErrNotExist},
		"special":        {"", archive.PackOptions{}, nothing, archive.ErrSpecial},
		"through a link": {"link/canary", archive.PackOptions{}, nothing, archive.ErrSymlink},
		"outside":        {"..", archive.PackOptions{}, nothing, archive.ErrEscapes},
		"entries":        {"d", archive.PackOptions{Limits: archive.Limits{Entries: 2}}, nothing, archive.ErrLimit},
		"bytes":          {"d", archive.PackOptions{Limits: archive.Limits{Bytes: 2}}, nothing, archive.ErrLimit},
		"the caller":     {"d", archive.PackOptions{}, func(string, archive.Info) error { return mine }, mine},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := archive.Walk(t.Context(), a.open(t), test.path, test.opts, test.each)
			if !errors.Is(err, test.want) || test.want == mine && err != mine {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
