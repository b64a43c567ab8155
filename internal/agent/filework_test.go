package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// standing is what is below dir: kind and mode, and content or target.
func standing(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := ""
		switch e.Type() {
		case 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(content)
		case fs.ModeSymlink:
			text, err = os.Readlink(path)
		}
		all[strings.TrimPrefix(path, dir+"/")] = fmt.Sprint(info.Mode(), " ", text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// unchanged is told what stands below dir, and fails the test if it is not the same at
// its end.
func unchanged(t *testing.T, dir string) {
	t.Helper()
	before := standing(t, dir)
	t.Cleanup(func() {
		if diff := cmp.Diff(before, standing(t, dir)); diff != "" {
			t.Errorf("it changed (-before +after):\n%s", diff)
		}
	})
}

func put(t *testing.T, c *wire.Client, r wire.PutRequest, content string) (*wire.PutReply, error) {
	t.Helper()
	return c.Put(t.Context(), r, iotest.HalfReader(strings.NewReader(content)))
}

func TestPut(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		mode := uint32(0o4711)
		long := strings.Repeat("0123456789", 100_000)
		for name, tt := range map[string]struct {
			request wire.PutRequest
			content string
			created bool
			want    string // of the file
		}{
			"a new one":                 {wire.PutRequest{Path: "new"}, "text", true, "-rw-r--r-- text"},
			"one that is there":         {wire.PutRequest{Path: "/workspace/run"}, "text\x00\xff", false, "-rwxr-x--- text\x00\xff"},
			"with a mode":               {wire.PutRequest{Path: "run", Mode: &mode}, "", false, "urwx--x--x "},
			"new with a mode":           {wire.PutRequest{Path: "n", Mode: &mode, Exclusive: true}, "text", true, "urwx--x--x text"},
			"parents":                   {wire.PutRequest{Path: "a/b/c", Parents: true}, "text", true, "-rw-r--r-- text"},
			"parents that are there":    {wire.PutRequest{Path: "d/c", Parents: true, Exclusive: true}, "text", true, "-rw-r--r-- text"},
			"a long one":                {wire.PutRequest{Path: "long"}, long, true, "-rw-r--r-- " + long},
			"one that nobody may write": {wire.PutRequest{Path: "locked"}, "text", false, "-r--r--r-- text"},
		} {
			t.Run(name, func(t *testing.T) {
				_ = os.RemoveAll(cfg.Workspace)
				tree(t, cfg.Workspace, map[string]string{"run": "old", "d/": "", "locked": "old"})
				err := errors.Join(os.Chmod(filepath.Join(cfg.Workspace, "run"), 0o750), os.Chmod(filepath.Join(cfg.Workspace, "locked"), 0o444),
					os.Link(filepath.Join(cfg.Workspace, "run"), filepath.Join(cfg.Workspace, "again")))
				if err != nil {
					t.Fatal(err)
				}
				reply, err := put(t, c, tt.request, tt.content)
				if err != nil {
					t.Fatal(err)
				}
				rel := strings.TrimPrefix(tt.request.Path, "/workspace/")
				want := &wire.PutReply{Path: "/workspace/" + rel, Size: int64(len(tt.content)), BytesWritten: int64(len(tt.content)), Created: tt.created}
				if diff := cmp.Diff(want, reply); diff != "" {
					t.Errorf("reply (-want +got):\n%s", diff)
				}
				all := standing(t, cfg.Workspace)
				if diff := cmp.Diff(tt.want, all[rel]); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if all["again"] != "-rwxr-x--- old" {
					t.Errorf("the other name of a replaced file is %q", all["again"])
				}
				noStage(t, cfg)
			})
		}
	})
}

func TestPutRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		dir := outside(t)
		tree(t, cfg.Workspace, map[string]string{"d/f": "old", "out": "-> " + dir, "link": "-> d/f", "away": "-> " + dir + "/f", "dangling": "-> nowhere"})
		special(t, filepath.Join(cfg.Workspace, "fifo"))
		unchanged(t, cfg.Workspace)
		bad := uint32(0o10000)
		for name, tt := range map[string]struct {
			request wire.PutRequest
			kind    api.Kind
			says    string
		}{
			"outside":          {wire.PutRequest{Path: "../f"}, api.Invalid, ".."},
			"the workspace":    {wire.PutRequest{Path: "."}, api.Invalid, "directory"},
			"a directory":      {wire.PutRequest{Path: "d"}, api.Invalid, `write "/workspace/d": is a directory`},
			"through a link":   {wire.PutRequest{Path: "out/f"}, api.Denied, `"/workspace/out"`},
			"parents, a link":  {wire.PutRequest{Path: "out/a/b", Parents: true}, api.Denied, `symbolic link`},
			"a link":           {wire.PutRequest{Path: "link"}, api.Denied, "symbolic link"},
			"a link away":      {wire.PutRequest{Path: "away"}, api.Denied, "symbolic link"},
			"a dangling link":  {wire.PutRequest{Path: "dangling"}, api.Denied, "symbolic link"},
			"a FIFO":           {wire.PutRequest{Path: "fifo"}, api.Unsupported, "neither"},
			"below a file":     {wire.PutRequest{Path: "d/f/g", Parents: true}, api.Invalid, "not a directory"},
			"without a parent": {wire.PutRequest{Path: "a/b"}, api.NotFound, "does not exist"},
			"exclusive":        {wire.PutRequest{Path: "d/f", Exclusive: true}, api.Exists, "exists"},
			"exclusive link":   {wire.PutRequest{Path: "dangling", Exclusive: true}, api.Exists, "exists"},
			"mode":             {wire.PutRequest{Path: "new", Mode: &bad}, api.Invalid, "010000"},
		} {
			t.Run(name, func(t *testing.T) {
				reply, err := put(t, c, tt.request, "new")
				if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%+v, error %v of kind %q", reply, err, api.KindOf(err))
				}
				noStage(t, cfg)
			})
		}
	})
}

// A source that fails leaves what was there.
func TestPutOfHalfAFileChangesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		tree(t, cfg.Workspace, map[string]string{"f": "old"})
		unchanged(t, cfg.Workspace)
		broken := errors.New("broken")
		_, err := c.Put(t.Context(), wire.PutRequest{Path: "f"}, io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
		if !eventually(func() bool {
			_, err := os.Lstat(filepath.Join(filepath.Dir(cfg.Workspace), ".pyro-staging-workspace"))
			return err != nil
		}) {
			t.Error("something is left beside the workspace")
		}
	})
}

// The part of a file that is asked for, and no more.
func TestReadRange(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		long := strings.Repeat("0123456789", 100_000)
		tree(t, cfg.Workspace, map[string]string{"d/f": "0123456789\xff", "empty": "", "long": long, "out": "-> " + outside(t)})
		sparse(t, filepath.Join(cfg.Workspace, "sparse"), 1<<43)
		special(t, filepath.Join(cfg.Workspace, "fifo"))
		for name, tt := range map[string]struct {
			path           string
			offset, length int64
			want           string
		}{
			"all":            {"d/f", 0, -1, "0123456789\xff"},
			"middle":         {"/workspace/d/f", 3, 4, "3456"},
			"end":            {"d/f", 8, 100, "89\xff"},
			"nothing":        {"d/f", 3, 0, ""},
			"behind the end": {"d/f", 1 << 62, -1, ""},
			"empty":          {"empty", 0, 5, ""},
			"long":           {"long", 5, -1, long[5:]},
			"of a huge one":  {"sparse", 1<<43 - 3, -1, "\x00\x00\x00"},
		} {
			t.Run(name, func(t *testing.T) {
				var got bytes.Buffer
				reply, err := c.ReadRange(t.Context(), tt.path, tt.offset, tt.length, &got)
				if err != nil {
					t.Fatal(err)
				}
				if got.String() != tt.want || reply.Length != int64(len(tt.want)) || reply.Offset != tt.offset {
					t.Errorf("%d bytes, reply %+v", got.Len(), reply)
				}
				if info, err := os.Stat(filepath.Join(cfg.Workspace, strings.TrimPrefix(tt.path, "/workspace"))); err != nil ||
					reply.Size != info.Size() || reply.Mode != 0o644 && reply.Mode != 0o600 || reply.MTime != info.ModTime().UnixNano() {
					t.Errorf("reply %+v", reply)
				}
			})
		}
		for path, kind := range map[string]api.Kind{"d": api.Invalid, "fifo": api.Unsupported, "out": api.Denied, "out/f": api.Denied, "none": api.NotFound, "../f": api.Invalid} {
			if reply, err := c.ReadRange(t.Context(), path, 0, 1, io.Discard); !errors.Is(err, kind) {
				t.Errorf("%s: %+v, error %v of kind %q", path, reply, err, api.KindOf(err))
			}
		}
	})
}

func TestStat(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	tree(t, cfg.Workspace, map[string]string{"d/f": "12", "out": "-> " + outside(t)})
	special(t, filepath.Join(cfg.Workspace, "fifo"))
	for path, want := range map[string]string{
		".": "/workspace directory 0", "d": "/workspace/d directory 0", " d/f ": "/workspace/d/f file 2", "fifo": "/workspace/fifo special 0",
	} {
		e, err := c.Stat(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%s %s %d", e.Path, e.Kind, e.Size); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for path, kind := range map[string]api.Kind{"out/f": api.Denied, "none": api.NotFound, "d/f/g": api.Invalid, "..": api.Invalid, "": api.Invalid} {
		if e, err := c.Stat(t.Context(), path); !errors.Is(err, kind) {
			t.Errorf("%q: %+v, error %v of kind %q", path, e, err, api.KindOf(err))
		}
	}
}

func TestMakeDir(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		tree(t, cfg.Workspace, map[string]string{"d/f": "", "out": "-> " + outside(t)})
		for _, tt := range []struct {
			path    string
			parents bool
			created bool
			kind    api.Kind // of the error
		}{
			{"new", false, true, ""},
			{"new", false, false, api.Exists},
			{"new", true, false, ""},
			{"a/b", false, false, api.NotFound},
			{"a/b/c", true, true, ""},
			{".", true, false, ""},
			{".", false, false, api.Exists},
			{"d/f", true, false, api.Exists},
			{"out/x", true, false, api.Denied},
			{"out", true, false, api.Exists},
			{"d/f/g", true, false, api.Invalid},
			{"../x", true, false, api.Invalid},
		} {
			reply, err := c.MakeDir(t.Context(), tt.path, tt.parents)
			if tt.kind != "" && !errors.Is(err, tt.kind) || tt.kind == "" && (err != nil || reply.Created != tt.created) {
				t.Errorf("%s: %+v, error %v of kind %q", tt.path, reply, err, api.KindOf(err))
			}
		}
		if got := standing(t, cfg.Workspace)["a/b/c"]; got != "drwxr-xr-x " {
			t.Errorf("it is %q", got)
		}
	})
}

func TestMove(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		for name, tt := range map[string]struct {
			from, to  string
			overwrite bool
			replaced  bool
			kind      api.Kind // of the error; then nothing changes
		}{
			"a file":                {from: "f", to: "d/new"},
			"a link":                {from: "link", to: "new"},
			"a FIFO":                {from: "fifo", to: "new"},
			"a directory":           {from: "d", to: "/workspace/new"},
			"over a file":           {from: "f", to: "g", overwrite: true, replaced: true},
			"over a link":           {from: "f", to: "away", overwrite: true, replaced: true},
			"over an empty one":     {from: "d", to: "e", overwrite: true, replaced: true},
			"not over a file":       {from: "f", to: "g", kind: api.Exists},
			"not over a link":       {from: "f", to: "away", kind: api.Exists},
			"not over a full one":   {from: "e", to: "d", overwrite: true, kind: api.Exists},
			"file over directory":   {from: "f", to: "e", overwrite: true, kind: api.Invalid},
			"directory over a file": {from: "e", to: "f", overwrite: true, kind: api.Invalid},
			"into itself":           {from: "d", to: "d/sub", kind: api.Invalid},
			"missing":               {from: "none", to: "new", kind: api.NotFound},
			"to nowhere":            {from: "f", to: "none/new", kind: api.NotFound},
			"through a link":        {from: "f", to: "out/new", kind: api.Denied},
			"from beyond a link":    {from: "out/f", to: "new", kind: api.Denied},
			"outside":               {from: "f", to: "../f", kind: api.Invalid},
			"the workspace":         {from: ".", to: "new", kind: api.Invalid},
			"over the workspace":    {from: "d", to: "/workspace", overwrite: true, kind: api.Invalid},
		} {
			t.Run(name, func(t *testing.T) {
				_ = os.RemoveAll(cfg.Workspace)
				dir := outside(t)
				tree(t, cfg.Workspace, map[string]string{"f": "1", "g": "2", "d/x": "3", "e/": "", "link": "-> f", "out": "-> " + dir, "away": "-> " + dir + "/f"})
				special(t, filepath.Join(cfg.Workspace, "fifo"))
				before := standing(t, cfg.Workspace)
				reply, err := c.Move(t.Context(), tt.from, tt.to, tt.overwrite)
				after := standing(t, cfg.Workspace)
				if tt.kind != "" {
					if diff := cmp.Diff(before, after); !errors.Is(err, tt.kind) || diff != "" {
						t.Errorf("error %v of kind %q, and:\n%s", err, api.KindOf(err), diff)
					}
					return
				}
				to := strings.TrimPrefix(tt.to, "/workspace/")
				want := &wire.MoveReply{From: "/workspace/" + tt.from, To: "/workspace/" + to, Replaced: tt.replaced}
				if diff := cmp.Diff(want, reply); err != nil || diff != "" {
					t.Fatalf("error %v, reply (-want +got):\n%s", err, diff)
				}
				if after[to] != before[tt.from] || after[tt.from] != "" {
					t.Errorf("it is %q, and was %q", after, before)
				}
			})
		}
	})
}

func TestRemove(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		for name, tt := range map[string]struct {
			path      string
			recursive bool
			removed   int64
			kind      api.Kind // of the error; then nothing changes
		}{
			"a file":           {path: "f", removed: 1},
			"a link":           {path: "out", removed: 1},
			"a link, whole":    {path: "out", recursive: true, removed: 1},
			"a FIFO":           {path: "fifo", removed: 1},
			"an empty one":     {path: "e", removed: 1},
			"a full one":       {path: "d", recursive: true, removed: 15},
			"not a full one":   {path: "d", kind: api.Conflict},
			"through a link":   {path: "out/f", recursive: true, kind: api.Denied},
			"missing":          {path: "none", recursive: true, kind: api.NotFound},
			"the workspace":    {path: "/workspace", recursive: true, kind: api.Invalid},
			"outside":          {path: "..", recursive: true, kind: api.Invalid},
			"below a file":     {path: "f/x", recursive: true, kind: api.Invalid},
			"a locked one":     {path: "locked", recursive: true, removed: 2},
			"slash at the end": {path: "d/", recursive: true, removed: 15},
		} {
			t.Run(name, func(t *testing.T) {
				thaw(t, filepath.Join(cfg.Workspace, "locked"))
				_ = os.Chmod(filepath.Join(cfg.Workspace, "locked"), 0o700)
				_ = os.RemoveAll(cfg.Workspace)
				dir := outside(t)
				content := map[string]string{"f": "1", "d/a/b": "", "d/out": "-> " + dir, "e/": "", "out": "-> " + dir, "locked/f": ""}
				for i := range 10 {
					content[fmt.Sprintf("d/many/%d", i)] = ""
				}
				tree(t, cfg.Workspace, content)
				special(t, filepath.Join(cfg.Workspace, "fifo"))
				if err := os.Chmod(filepath.Join(cfg.Workspace, "locked"), 0o555); err != nil {
					t.Fatal(err)
				}
				before := standing(t, cfg.Workspace)
				reply, err := c.Remove(t.Context(), tt.path, tt.recursive)
				after := standing(t, cfg.Workspace)
				if tt.kind != "" {
					if diff := cmp.Diff(before, after); !errors.Is(err, tt.kind) || diff != "" {
						t.Errorf("error %v of kind %q, and:\n%s", err, api.KindOf(err), diff)
					}
					return
				}
				path := strings.TrimSuffix(tt.path, "/")
				want := &wire.RemoveReply{Path: "/workspace/" + path, Removed: tt.removed}
				if diff := cmp.Diff(want, reply); err != nil || diff != "" {
					t.Fatalf("error %v, reply (-want +got):\n%s", err, diff)
				}
				for name := range before {
					_, stays := after[name]
					if below := name == path || strings.HasPrefix(name, path+"/"); below == stays {
						t.Errorf("%s stays: %v", name, stays)
					}
				}
			})
		}
	})
}

// A directory that is read in several pieces is emptied, too.
func TestRemoveOfManyNames(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	const count = 2500
	content := make(map[string]string)
	for i := range count {
		content[fmt.Sprintf("d/%d", i)] = "-> nowhere"
	}
	tree(t, cfg.Workspace, content)
	if reply, err := c.Remove(t.Context(), "d", true); err != nil || reply.Removed != count+1 {
		t.Errorf("reply %+v, error %v", reply, err)
	}
}

// While a command exchanges a directory with a link, nothing outside is touched.
func TestFileWorkUnderExchangedNames(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	dir := outside(t)
	tree(t, cfg.Workspace, map[string]string{"link": "-> " + dir, "d/": ""})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { // ends with ctx
		defer close(done)
		for ctx.Err() == nil {
			_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(cfg.Workspace, "d"), unix.AT_FDCWD, filepath.Join(cfg.Workspace, "link"), unix.RENAME_EXCHANGE)
		}
	}()
	for range 100 {
		_, _ = c.Put(t.Context(), wire.PutRequest{Path: "d/f", Parents: true}, strings.NewReader("inside"))
		_, _ = c.MakeDir(t.Context(), "d/g", true)
		_, _ = c.Move(t.Context(), "d/f", "d/h", true)
		_, _ = c.Remove(t.Context(), "d/g", true)
		_, _ = c.Remove(t.Context(), "d/f", true)
		var got bytes.Buffer
		if _, err := c.ReadRange(t.Context(), "d/f", 0, -1, &got); err == nil && strings.Contains(got.String(), "outside") {
			t.Error("it was read through a link")
		}
	}
	cancel()
	<-done
}
