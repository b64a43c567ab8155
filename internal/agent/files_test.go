package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// tree makes files, directories (names that end in a slash) and links (content that
// begins with "-> ") under dir.
func tree(t testing.TB, dir string, content map[string]string) {
	t.Helper()
	for name, text := range content {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = errors.Join(err, os.Symlink(target, path))
		} else if strings.HasSuffix(name, "/") {
			err = errors.Join(err, os.MkdirAll(path, 0o755))
		} else {
			err = errors.Join(err, os.WriteFile(path, []byte(text), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// outside is a directory beside the workspace with a file that nobody may touch.
func outside(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"f": "outside\n"})
	t.Cleanup(func() {
		content, err := os.ReadFile(filepath.Join(dir, "f"))
		names, _ := os.ReadDir(dir)
		if err != nil || string(content) != "outside\n" || len(names) != 1 {
			t.Errorf("outside the workspace: %q, %v, %v", content, names, err)
		}
	})
	return dir
}

func TestParsePath(t *testing.T) {
	for _, tt := range []struct{ field, wire, rel string }{
		{"/workspace", "/workspace", "."},
		{"/workspace/", "/workspace", "."},
		{".", "/workspace", "."},
		{" a/b ", "/workspace/a/b", "a/b"},
		{"./a//b/.", "/workspace/a/b", "a/b"},
		{"/workspace/./a", "/workspace/a", "a"},
		{"//workspace//a", "/workspace/a", "a"},
		{"..a/b..", "/workspace/..a/b..", "..a/b.."},
		{"%2e%2e", "/workspace/%2e%2e", "%2e%2e"},
	} {
		got, err := parsePath(tt.field)
		if want := (guestPath{tt.wire, tt.rel}); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", tt.field, got, err, want)
		}
	}
}

func TestPathRejectsDotDot(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	dir := outside(t)
	for _, path := range []string{
		"..", "../f", "/workspace/..", "/workspace/../etc/passwd", "a/../../f", "a/..", "../workspace/f", " ../f",
		"/", "/etc/passwd", "/workspace-evil", "/workspaces/x", "", " ", "/run/pyro-secrets/x", "a\x00b", dir + "/f",
	} {
		t.Run(path, func(t *testing.T) {
			_, listErr := c.List(t.Context(), wire.ListRequest{Path: wire.LaxString(path)})
			_, readErr := c.ReadFile(t.Context(), path, 10)
			_, writeErr := c.WriteFile(t.Context(), path, "x")
			_, deleteErr := c.Delete(t.Context(), path)
			_, exportErr := c.ExportArchive(t.Context(), path)
			for op, err := range map[string]error{"list": listErr, "read": readErr, "write": writeErr, "delete": deleteErr, "export": exportErr} {
				if api.KindOf(err) != api.Invalid {
					t.Errorf("%s: %v", op, err)
				}
			}
		})
	}
}

func TestList(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	tree(t, cfg.Workspace, map[string]string{
		"d/f": "in\n", "d.x": "", "d/e/": "", "link": "-> d/f", "away": "-> /etc/passwd", "to-dir": "-> d", "b\nc": "1",
	})
	if err := unix.Mkfifo(filepath.Join(cfg.Workspace, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	str := func(s string) *string { return &s }
	top := []wire.Entry{
		{Path: "/workspace/away", ArtifactType: wire.Symlink, SizeBytes: 11, LinkTarget: str("/etc/passwd")},
		{Path: "/workspace/b\nc", ArtifactType: wire.File, SizeBytes: 1},
		{Path: "/workspace/d", ArtifactType: wire.Directory},
		{Path: "/workspace/d.x", ArtifactType: wire.File},
		{Path: "/workspace/link", ArtifactType: wire.Symlink, SizeBytes: 3, LinkTarget: str("d/f")},
		{Path: "/workspace/to-dir", ArtifactType: wire.Symlink, SizeBytes: 1, LinkTarget: str("d")},
	}
	below := []wire.Entry{
		{Path: "/workspace/d/e", ArtifactType: wire.Directory},
		{Path: "/workspace/d/f", ArtifactType: wire.File, SizeBytes: 3},
	}
	all := append(append(append([]wire.Entry{}, top[:3]...), below...), top[3:]...)
	for _, tt := range []struct {
		name string
		req  wire.ListRequest
		want wire.ListReply
	}{
		{"top", wire.ListRequest{Path: "/workspace"}, wire.ListReply{Path: "/workspace", ArtifactType: wire.Directory, Entries: top}},
		{"recursive", wire.ListRequest{Path: ".", Recursive: true}, wire.ListReply{Path: "/workspace", ArtifactType: wire.Directory, Entries: all}},
		{"directory", wire.ListRequest{Path: "d"}, wire.ListReply{Path: "/workspace/d", ArtifactType: wire.Directory, Entries: below}},
		{"empty directory", wire.ListRequest{Path: "d/e"}, wire.ListReply{Path: "/workspace/d/e", ArtifactType: wire.Directory, Entries: []wire.Entry{}}},
		{"file", wire.ListRequest{Path: "d/f"}, wire.ListReply{Path: "/workspace/d/f", ArtifactType: wire.File, Entries: below[1:]}},
		{"link", wire.ListRequest{Path: "to-dir"}, wire.ListReply{Path: "/workspace/to-dir", ArtifactType: wire.Symlink, Entries: top[5:]}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := c.List(t.Context(), tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	for path, kind := range map[string]api.Kind{"none": api.NotFound, "to-dir/f": api.Denied, "fifo": api.Unsupported} {
		if _, err := c.List(t.Context(), wire.ListRequest{Path: wire.LaxString(path)}); api.KindOf(err) != kind {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	dir := outside(t)
	tree(t, cfg.Workspace, map[string]string{
		"d/f": "in\n", "bytes": "a\xffb\x00", "empty": "", "link": "-> d/f", "out": "-> " + dir, "outf": "-> " + dir + "/f",
		"zero": "-> /dev/zero", "environ": "-> /proc/1/environ", "mib": strings.Repeat("m", wire.MaxFile), "over": strings.Repeat("m", wire.MaxFile+1),
	})
	sparse := filepath.Join(cfg.Workspace, "sparse")
	fifo := unix.Mkfifo(filepath.Join(cfg.Workspace, "fifo"), 0o600)
	if err := errors.Join(fifo, os.WriteFile(sparse, nil, 0o644), os.Truncate(sparse, 1<<40)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"d/f": "in\n", "/workspace/bytes": "a\xffb\x00", "empty": "", "mib": strings.Repeat("m", wire.MaxFile)} {
		got, err := c.ReadFile(t.Context(), path, wire.MaxFile)
		if err != nil || string(got.Content) != want {
			t.Errorf("%s: %d bytes, %v", path, len(got.Content), err)
		}
	}
	for path, kind := range map[string]api.Kind{
		"none": api.NotFound, "d": api.Invalid, "over": api.Invalid, "sparse": api.Invalid, "d/f/x": api.Invalid,
		"link": api.Denied, "out/f": api.Denied, "outf": api.Denied, "zero": api.Denied, "environ": api.Denied,
		"fifo": api.Unsupported,
	} {
		if got, err := c.ReadFile(t.Context(), path, wire.MaxFile); api.KindOf(err) != kind || err == nil {
			t.Errorf("%s: %d bytes, %v", path, len(got.Content), err)
		}
	}
	if _, err := c.ReadFile(t.Context(), "none", 1); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := c.ReadFile(t.Context(), "d/f", 2); api.KindOf(err) != api.Invalid {
		t.Errorf("a file longer than max_bytes: %v", err)
	}
	for _, limit := range []string{"0", "-1", "1048577"} {
		reply := ask(t, c, `{"action":"read_workspace_file","path":"d/f","max_bytes":`+limit+"}\n")
		if f := failure(t, reply); f.Kind != string(api.Invalid) {
			t.Errorf("max_bytes %s: %s", limit, reply)
		}
	}
}

func TestWriteKeepsMode(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	tree(t, cfg.Workspace, map[string]string{"script": "#!/bin/sh\n", "private": "x", "read-only": "x"})
	for name, mode := range map[string]fs.FileMode{"script": 0o755, "private": 0o600, "read-only": 0o444} {
		if err := os.Chmod(filepath.Join(cfg.Workspace, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]fs.FileMode{"script": 0o755, "private": 0o600, "read-only": 0o444, "new": 0o644, "a/b/new": 0o644} {
		reply, err := c.WriteFile(t.Context(), name, "zwölf\n")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(wire.WriteReply{Path: "/workspace/" + name, SizeBytes: 7, BytesWritten: 7}, reply); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		content, err := os.ReadFile(filepath.Join(cfg.Workspace, name))
		if err != nil || string(content) != "zwölf\n" {
			t.Errorf("%s: content %q, %v", name, content, err)
		}
		if info, err := os.Stat(filepath.Join(cfg.Workspace, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v, %v", name, info.Mode(), want, err)
		}
	}
	names, _ := os.ReadDir(cfg.Workspace)
	if len(names) != 5 {
		t.Errorf("left in the workspace: %v", names)
	}
}

func TestWriteRefuses(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	dir := outside(t)
	tree(t, cfg.Workspace, map[string]string{"d/": "", "f": "x", "out": "-> " + dir, "outf": "-> " + dir + "/f", "dangling": "-> " + dir + "/new"})
	if err := unix.Mkfifo(filepath.Join(cfg.Workspace, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, kind := range map[string]api.Kind{
		"d": api.Invalid, ".": api.Invalid, "f/x": api.Invalid, "fifo": api.Unsupported,
		"out/g": api.Denied, "out/a/b": api.Denied, "outf": api.Denied, "dangling": api.Denied,
	} {
		if _, err := c.WriteFile(t.Context(), path, "x"); api.KindOf(err) != kind || err == nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := c.WriteFile(t.Context(), "big", strings.Repeat("x", wire.MaxFile+1)); api.KindOf(err) != api.Invalid {
		t.Errorf("too long a text: %v", err)
	}
	if _, err := c.WriteFile(t.Context(), "big", strings.Repeat("x", wire.MaxFile)); err != nil {
		t.Errorf("the longest text: %v", err)
	}
}

func TestDelete(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	dir := outside(t)
	tree(t, cfg.Workspace, map[string]string{"d/": "", "f": "x", "out": "-> " + dir, "outf": "-> " + dir + "/f"})
	for _, path := range []string{"f", "outf"} {
		if _, err := c.Delete(t.Context(), path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := os.Lstat(filepath.Join(cfg.Workspace, path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	for path, kind := range map[string]api.Kind{"d": api.Invalid, ".": api.Invalid, "f": api.NotFound, "out/f": api.Denied} {
		if _, err := c.Delete(t.Context(), path); api.KindOf(err) != kind || err == nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
