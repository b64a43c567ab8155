package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// walked is what a walk tells: kind, path, and size or target.
func walked(t testing.TB, c *wire.Client, r wire.WalkRequest) ([]string, *wire.WalkReply, error) {
	t.Helper()
	var got []string
	reply, err := c.Walk(t.Context(), r, func(e *wire.WalkEntry) error {
		text := fmt.Sprintf("%s %q %d", e.Kind, e.Path, e.Size)
		if e.Kind == "symlink" {
			text += fmt.Sprintf(" -> %q", e.Target)
		}
		got = append(got, text)
		return nil
	})
	return got, reply, err
}

// special makes what a walk must neither open nor leave out.
func special(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
}

// sparse makes a file of many bytes that has none on the disk.
func sparse(t *testing.T, path string, size int64) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
		t.Fatal(err)
	}
}

func TestWalk(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		tree(t, cfg.Workspace, map[string]string{
			"d/f": "in\n", "d.x": "", "d/e/": "", "d!": "1", "link": "-> d/f", "away": "-> /etc/passwd", "to-dir": "-> d",
			"b\nc\t\xff": "12", "node/a/b/c": "x",
		})
		special(t, filepath.Join(cfg.Workspace, "fifo"))
		const most = 1 << 43 // more than any archive may have
		sparse(t, filepath.Join(cfg.Workspace, "sparse"), most)
		sparse(t, filepath.Join(cfg.Workspace, "sparse-too"), most)
		all := []string{
			`symlink "away" 11 -> "/etc/passwd"`, `file "b\nc\t\xff" 2`, `directory "d" 0`, `directory "d/e" 0`, `file "d/f" 3`,
			`file "d!" 1`, `file "d.x" 0`, `special "fifo" 0`, `symlink "link" 3 -> "d/f"`, `directory "node" 0`, `directory "node/a" 0`,
			`directory "node/a/b" 0`, `file "node/a/b/c" 1`, `file "sparse" 8796093022208`, `file "sparse-too" 8796093022208`,
			`symlink "to-dir" 1 -> "d"`,
		}
		flat := slices.DeleteFunc(slices.Clone(all), func(s string) bool {
			return strings.Contains(s, "/e") && !strings.Contains(s, "etc") || strings.Contains(s, "d/f\" 3") && strings.HasPrefix(s, "file") || strings.Contains(s, "node/")
		})
		for name, tt := range map[string]struct {
			request wire.WalkRequest
			root    string
			want    []string
		}{
			"everything":      {wire.WalkRequest{Path: "/workspace", Recursive: true}, "directory", all},
			"one level":       {wire.WalkRequest{}, "directory", flat},
			"a directory":     {wire.WalkRequest{Path: "node/a", Recursive: true}, "directory", []string{`directory "b" 0`, `file "b/c" 1`}},
			"an empty one":    {wire.WalkRequest{Path: "d/e", Recursive: true}, "directory", nil},
			"a file":          {wire.WalkRequest{Path: "d/f"}, "file", nil},
			"a link":          {wire.WalkRequest{Path: "to-dir", Recursive: true}, "symlink", nil},
			"a FIFO":          {wire.WalkRequest{Path: "fifo"}, "special", nil},
			"as many as may":  {wire.WalkRequest{Path: "node", Recursive: true, MaxEntries: 3}, "directory", []string{`directory "a" 0`, `directory "a/b" 0`, `file "a/b/c" 1`}},
			"absolute, slash": {wire.WalkRequest{Path: "/workspace//d/e/", Recursive: true}, "directory", nil},
		} {
			t.Run(name, func(t *testing.T) {
				if tt.request.Path == "" {
					tt.request.Path = "."
				}
				got, reply, err := walked(t, c, tt.request)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if reply.Root.Kind != tt.root || reply.Count != int64(len(tt.want)) || reply.Clock == 0 {
					t.Errorf("reply %+v", reply)
				}
			})
		}
	})
}

func TestWalkTellsWhatLstatTells(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	tree(t, cfg.Workspace, map[string]string{"f": "text", "l": "-> nowhere"})
	file := filepath.Join(cfg.Workspace, "f")
	if err := errors.Join(os.Link(file, filepath.Join(cfg.Workspace, "again")), unix.Chmod(file, 0o4751), os.Chtimes(file, aTime, aTime.Add(5))); err != nil {
		t.Fatal(err)
	}
	var got []wire.WalkEntry
	reply, err := c.Walk(t.Context(), wire.WalkRequest{Path: "/workspace", Recursive: true}, func(e *wire.WalkEntry) error {
		got = append(got, *e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, reply.Root)
	var want []wire.WalkEntry
	for _, name := range []string{"again", "f", "l", ""} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(cfg.Workspace, name), &st); err != nil {
			t.Fatal(err)
		}
		e := wire.WalkEntry{
			Path: []byte(name), Kind: map[string]string{"l": "symlink", "": "directory"}[name], Mode: st.Mode & 0o7777, Size: st.Size,
			MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), Device: st.Dev, Inode: st.Ino, Links: st.Nlink,
		}
		switch e.Kind {
		case "":
			e.Kind = "file"
		case "symlink":
			e.Target = []byte("nowhere")
		case "directory":
			e.Size = 0
		}
		want = append(want, e)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for i, path := range []string{"again", "f", "l"} {
		e, err := c.Stat(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		want[i].Path = []byte("/workspace/" + path)
		if diff := cmp.Diff(want[i], *e); diff != "" {
			t.Errorf("stat %s, -want +got:\n%s", path, diff)
		}
	}
}

func TestWalkRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		tree(t, cfg.Workspace, map[string]string{"d/f": "", "out": "-> " + outside(t)})
		deep := strings.Repeat("n/", wire.MaxTreeDepth)
		tree(t, cfg.Workspace, map[string]string{"deep/" + deep + "f": ""})
		for name, tt := range map[string]struct {
			request wire.WalkRequest
			kind    api.Kind
			says    string
		}{
			"outside":         {wire.WalkRequest{Path: "../x"}, api.Invalid, ".. is not allowed"},
			"through a link":  {wire.WalkRequest{Path: "out/f"}, api.Denied, `walk "/workspace/out": a symbolic link`},
			"missing":         {wire.WalkRequest{Path: "none"}, api.NotFound, `walk "/workspace/none": file does not exist`},
			"below a file":    {wire.WalkRequest{Path: "d/f/g"}, api.Invalid, "d/f"},
			"too many":        {wire.WalkRequest{Path: "deep", Recursive: true, MaxEntries: 255}, api.Invalid, "more than 255 entries"},
			"too many at all": {wire.WalkRequest{Path: ".", MaxEntries: wire.MaxTreeEntries + 1}, api.Invalid, "5000000"},
			"too deep":        {wire.WalkRequest{Path: "deep", Recursive: true}, api.Invalid, "directories deep"},
		} {
			t.Run(name, func(t *testing.T) {
				_, _, err := walked(t, c, tt.request)
				if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v of kind %q", err, api.KindOf(err))
				}
			})
		}
	})
}

// hashed is what Hash tells of paths.
func hashed(t testing.TB, c *wire.Client, dir string, paths ...string) ([]string, error) {
	t.Helper()
	var got []string
	err := c.Hash(t.Context(), dir, func(yield func([]byte) bool) {
		for _, p := range paths {
			if !yield([]byte(p)) {
				return
			}
		}
	}, func(d *wire.FileDigest) error {
		sum := fmt.Sprintf("%x", d.SHA256)
		got = append(got, fmt.Sprintf("%s %s %o %d %.8s", d.Path, d.Err, d.Mode, d.Size, sum))
		return nil
	})
	return got, err
}

func TestHash(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		long := strings.Repeat("0123456789", 100_000)
		tree(t, cfg.Workspace, map[string]string{"a": "abc", "d/long": long, "d/e/empty": "", "l": "-> a", "out": "-> " + outside(t)})
		special(t, filepath.Join(cfg.Workspace, "fifo"))
		sparse(t, filepath.Join(cfg.Workspace, "sparse"), wire.MaxHashed+1)
		got, err := hashed(t, c, "/workspace", "d/long", "a", "missing", "fifo", "l", "d", "out/f", "d/e/empty", "a/b", "sparse", "d/e/none", "a")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"d/long  644 1000000 ec21d646", "a  644 3 ba7816bf", "missing gone 0 0 ", "fifo gone 0 0 ", "l gone 0 0 ", "d gone 0 0 ", "out/f gone 0 0 ",
			"d/e/empty  644 0 e3b0c442", "a/b gone 0 0 ", "sparse too_long 600 8589934593 ", "d/e/none gone 0 0 ", "a  644 3 ba7816bf",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if got, err := hashed(t, c, "d/e", "empty"); err != nil || !slices.Equal(got, []string{"empty  644 0 e3b0c442"}) {
			t.Errorf("below a directory: %q, %v", got, err)
		}
		if got, err := hashed(t, c, "d"); err != nil || got != nil {
			t.Errorf("of nothing: %q, %v", got, err)
		}
	})
}

func TestHashRefuses(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	tree(t, cfg.Workspace, map[string]string{"out": "-> " + outside(t), "a": ""})
	for dir, kind := range map[string]api.Kind{"..": api.Invalid, "out": api.Denied, "none": api.NotFound, "a": api.Invalid} {
		if got, err := hashed(t, c, dir, "f"); !errors.Is(err, kind) {
			t.Errorf("%s: %q, error %v of kind %q", dir, got, err, api.KindOf(err))
		}
	}
	for _, path := range []string{"", "/a", "../f", "a/../b", "a\x00", "a//b", "a/"} {
		if got, err := hashed(t, c, ".", path); !errors.Is(err, api.Invalid) {
			t.Errorf("%q: %q, error %v", path, got, err)
		}
	}
}

// BenchmarkWalk is a tree of 10,000 files in 500 directories; BenchmarkLstat has the
// system calls alone.
func BenchmarkWalk(b *testing.B) {
	cfg := testConfig(b)
	c := serveMux(b, cfg)
	manyFiles(b, cfg.Workspace)
	for b.Loop() {
		reply, err := c.Walk(b.Context(), wire.WalkRequest{Path: ".", Recursive: true}, func(*wire.WalkEntry) error { return nil })
		if err != nil || reply.Count != 10_500 {
			b.Fatal(reply, err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	cfg := testConfig(b)
	c := serveMux(b, cfg)
	paths := manyFiles(b, cfg.Workspace)
	for b.Loop() {
		if got, err := hashed(b, c, ".", paths...); err != nil || len(got) != len(paths) {
			b.Fatal(len(got), err)
		}
	}
}

func BenchmarkLstat(b *testing.B) {
	dir := b.TempDir()
	manyFiles(b, dir)
	for b.Loop() {
		for d := range 500 {
			fd, err := unix.Open(filepath.Join(dir, fmt.Sprintf("d%03d", d)), listing, 0)
			if err != nil {
				b.Fatal(err)
			}
			for f := range 20 {
				if _, err := lstatAt(fd, fmt.Sprintf("file-%02d.go", f)); err != nil {
					b.Fatal(err)
				}
			}
			_ = unix.Close(fd)
		}
	}
}

func manyFiles(b *testing.B, dir string) (paths []string) {
	content := make(map[string]string)
	for i := range 10_000 {
		path := fmt.Sprintf("d%03d/file-%02d.go", i/20, i%20)
		content[path] = "package x\n"
		paths = append(paths, path)
	}
	tree(b, dir, content)
	return paths
}
