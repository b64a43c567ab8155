package pyro

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// ground is a directory to export into, beside a canary that nothing may touch.
type ground struct{ dir, out string }

func newGround(t *testing.T) ground {
	t.Helper()
	base := t.TempDir()
	g := ground{dir: filepath.Join(base, "dir")}
	g.out = filepath.Join(g.dir, "out")
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	canary := filepath.Join(base, "canary")
	if err := os.WriteFile(canary, []byte("sings"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		want := map[string]string{"canary": "-rw------- sings"}
		there := stands(t, base)
		for name := range there {
			if name == "dir" || strings.HasPrefix(name, "dir/") {
				delete(there, name)
			}
		}
		if diff := cmp.Diff(want, there); diff != "" {
			t.Errorf("outside of the target (-want +got):\n%s", diff)
		}
	})
	return g
}

// TestExportRefusesHostileTrees serves what no honest agent sends. Whatever the format,
// nothing is left, and the error has a kind and a next step.
func TestExportRefusesHostileTrees(t *testing.T) {
	type hostile struct {
		served servedTree
		kind   api.Kind
	}
	of := func(members ...*tarMember) servedTree { return servedTree{tar: tarOf(t, members...)} }
	whole := tarOf(t, tarFile("a", "x"))
	cases := map[string]hostile{
		"16 a file through its own link":     {of(tarLink("l", ".."), tarFile("l/canary", "mine")), api.Denied},
		"16 through a chain of links":        {of(tarLink("a", ".."), tarLink("b", "a"), tarFile("b/canary", "mine")), api.Denied},
		"16 a directory through a link":      {of(tarLink("l", "/tmp"), tarDir("l/d")), api.Denied},
		"16 a file in place of a link":       {of(tarLink("l", "../canary"), tarFile("l", "mine")), api.Denied},
		"18 hard link to the outside":        {of(tarHard("h", "../canary")), api.Denied},
		"18 hard link to an absolute path":   {of(tarHard("h", "/etc/passwd")), api.Denied},
		"18 hard link to nothing":            {of(tarHard("h", "none")), api.Denied},
		"18 hard link to a link":             {of(tarLink("l", "../canary"), tarHard("h", "l")), api.Denied},
		"18 hard link through a link":        {of(tarLink("l", ".."), tarHard("h", "l/canary")), api.Denied},
		"21 too deep":                        {of(tarFile(strings.Repeat("d/", 256)+"x", "")), api.Denied},
		"21 a long path":                     {of(tarFile(strings.Repeat("nnnnnnn/", 512)+"x", "")), api.Denied},
		"24 names that differ by case":       {of(tarFile("README", "a"), tarFile("readme", "b")), api.Denied},
		"24 directories that differ by case": {of(tarDir("Src"), tarDir("src")), api.Denied},
		"24 names of two Unicode forms":      {of(tarFile("caf\u00e9", "a"), tarFile("cafe\u0301", "b")), api.Denied},
		"24 .Git":                            {of(tarFile(".Git/config", "[core]")), api.Denied},
		"24 .git with what HFS+ ignores":     {of(tarFile(".g\u200cit/config", "[core]")), api.Denied},
		"24 .git by its short name":          {of(tarFile("git~1/config", "[core]")), api.Denied},
		"24 .git with a dot behind it":       {of(tarFile(".git./config", "[core]")), api.Denied},
		"28 nothing at all":                  {servedTree{}, api.Denied},
		"28 no archive":                      {servedTree{tar: bytes.Repeat([]byte("x"), 2048)}, api.Denied},
		"28 a gzip":                          {servedTree{tar: []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00")}, api.Denied},
		"28 cut in its middle":               {servedTree{tar: whole[:700]}, api.Denied},
		"28 without its end":                 {servedTree{tar: whole[:1024]}, api.Denied},
		"28 with more behind its end":        {servedTree{tar: append(bytes.Clone(whole), "more"...)}, api.Denied},
		"28 two of them":                     {servedTree{tar: append(bytes.Clone(whole), whole...)}, api.Denied},
		"28 a wrong check sum":               {servedTree{tar: bytes.Replace(whole, []byte("0000644"), []byte("0000777"), 1)}, api.Denied},
		"10 the supervisor is gone":          {servedTree{tar: whole, cut: true}, api.Unavailable},
		"10 a failure after all of it":       {servedTree{tar: whole, fail: &api.ErrorReply{Kind: api.Conflict, Error: "changed", Hint: "again"}}, api.Conflict},
		"10 it became a file":                {servedTree{tar: whole, end: &api.TreeEnd{ArtifactType: "file"}}, api.Conflict},
		"a member of a kind that is unknown": {of(tarSpecial('Q', "q")), api.Denied},
	}
	for i, name := range []string{
		"/etc/passwd", "..", "../canary", "a/../../canary", "./../canary", "a/..", " ../canary", "", " ", ".", "..\n", "a/./../../x", "//x", "\u00a0/x",
	} {
		cases[fmt.Sprintf("15 name %d, %q", i, name)] = hostile{of(tarFile(name, "mine")), api.Denied}
	}
	for name, c := range cases {
		for _, format := range []string{api.ExportDir, api.ExportTar} {
			t.Run(name+" as "+format, func(t *testing.T) {
				g := newGround(t)
				got, err := exporting(t, c.served).Export(t.Context(), "/workspace", g.out, &ExportOptions{Format: format})
				if api.KindOf(err) != c.kind || api.HintOf(err) == "" {
					t.Errorf("%+v, %v of kind %s, hint %q; want %s", got, err, api.KindOf(err), api.HintOf(err), c.kind)
				}
				if diff := cmp.Diff(map[string]string{}, stands(t, g.dir)); diff != "" {
					t.Errorf("left behind (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestExportTames serves what may come from any workspace: what is unfit for this machine
// is dropped, and said.
func TestExportTames(t *testing.T) {
	for name, c := range map[string]struct {
		served   servedTree
		want     map[string]string
		entries  int
		skipped  int
		warnings []string
	}{
		"15 a name of Windows": {
			served:  servedTree{tar: tarOf(t, tarFile(`C:\x`, "1"), tarFile(`\\?\x`, "2"), tarFile("a:b", "3"), tarFile("nul", "4"))},
			want:    map[string]string{"out": "drwxr-xr-x", `out/C:\x`: "-rw-r--r-- 1", `out/\\?\x`: "-rw-r--r-- 2", "out/a:b": "-rw-r--r-- 3", "out/nul": "-rw-r--r-- 4"},
			entries: 4,
		},
		"18 a hard link inside": {
			served:  servedTree{tar: tarOf(t, tarFile("a", "same"), tarHard("b", "a"))},
			want:    map[string]string{"out": "drwxr-xr-x", "out/a": "-rw-r--r-- same", "out/b": "-rw-r--r-- same"},
			entries: 2,
		},
		"22 devices, FIFOs, sockets": {
			served: servedTree{
				tar: tarOf(t, tarSpecial(tar.TypeChar, "null"), tarSpecial(tar.TypeBlock, "sda"), tarSpecial(tar.TypeFifo, "pipe"), tarFile("f", "x")),
				end: &api.TreeEnd{ArtifactType: "directory", Skipped: 2},
			},
			want:    map[string]string{"out": "drwxr-xr-x", "out/f": "-rw-r--r-- x"},
			entries: 1, skipped: 5,
		},
		"23 modes": {
			served: servedTree{tar: tarOf(t,
				tarFile("suid", "x").mode(0o4755), tarFile("sgid", "x").mode(0o2755), tarFile("all", "x").mode(0o7777), tarFile("none", "x").mode(0),
				tarDir("sticky").mode(0o1777), tarDir("setgid").mode(0o2700), tarFile("ro", "x").mode(0o444))},
			want: map[string]string{
				"out": "drwxr-xr-x", "out/suid": "-rwxr-xr-x x", "out/sgid": "-rwxr-xr-x x", "out/all": "-rwxrwxrwx x",
				"out/none": "---------- " + readable("x"), "out/sticky": "drwxrwxrwx", "out/setgid": "drwx------", "out/ro": "-r--r--r-- x",
			},
			entries: 7,
		},
		"23 owners and attributes": {
			served:  servedTree{tar: tarOf(t, tarFile("a", "x").owned().xattr("security.capability", "\x01\x00"), tarFile("b", "x").xattr("user.evil", "1"))},
			want:    map[string]string{"out": "drwxr-xr-x", "out/a": "-rw-r--r-- x", "out/b": "-rw-r--r-- x"},
			entries: 2,
		},
		"25 control characters": {
			served:  servedTree{tar: tarOf(t, tarFile("new\nline", "1"), tarFile("tab\there", "2"), tarFile("\x1b[31mred", "3"), tarFile("\u202egpj.exe", "4"), tarFile("-rf", "5"), tarFile("\xff\xfe", "6"))},
			want:    map[string]string{"out": "drwxr-xr-x", "out/new\nline": "-rw-r--r-- 1", "out/tab\there": "-rw-r--r-- 2", "out/\x1b[31mred": "-rw-r--r-- 3", "out/\u202egpj.exe": "-rw-r--r-- 4", "out/-rf": "-rw-r--r-- 5", "out/\xff\xfe": "-rw-r--r-- 6"},
			entries: 6,
		},
		"32 links that lead elsewhere": {
			served: servedTree{tar: tarOf(t, tarLink("etc", "/etc"), tarLink("up", "../../x"), tarLink("d/in", "../a"), tarLink("d/out", "../../a"), tarLink("secrets", "/run/pyro-secrets"))},
			want: map[string]string{
				"out": "drwxr-xr-x", "out/etc": "-> /etc", "out/up": "-> ../../x", "out/d": "drwxr-xr-x", "out/d/in": "-> ../a", "out/d/out": "-> ../../a",
				"out/secrets": "-> /run/pyro-secrets",
			},
			entries: 5,
			warnings: []string{
				"etc: leads out of what was exported, to /etc", "up: leads out of what was exported, to ../../x",
				"d/out: leads out of what was exported, to ../../a", "secrets: leads out of what was exported, to /run/pyro-secrets",
			},
		},
		"a file": {
			served:  servedTree{kind: "file", tar: tarOf(t, tarFile("thing", "alone").mode(0o750))},
			want:    map[string]string{"out": "-rwxr-x--- alone"},
			entries: 1,
		},
		"a link": {
			served:  servedTree{kind: "symlink", tar: tarOf(t, tarLink("thing", "anywhere"))},
			want:    map[string]string{"out": "-> anywhere"},
			entries: 1,
		},
		"an empty directory": {
			served: servedTree{tar: tarOf(t)},
			want:   map[string]string{"out": "drwxr-xr-x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGround(t)
			old := sys.Umask(0o022)
			path := "/workspace"
			if c.served.kind != "" {
				path = "/workspace/thing"
			}
			got, err := exporting(t, c.served).Export(t.Context(), path, g.out, nil)
			sys.Umask(old)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, stands(t, g.dir)); diff != "" {
				t.Errorf("what is there (-want +got):\n%s", diff)
			}
			if got.EntryCount != c.entries || got.Skipped != c.skipped {
				t.Errorf("%d entries, %d skipped; want %d, %d", got.EntryCount, got.Skipped, c.entries, c.skipped)
			}
			if diff := cmp.Diff(append([]string{}, c.warnings...), got.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			checkOwned(t, g.out)
		})
	}
}

// readable is content that its owner may read whatever the mode says, being root.
func readable(content string) string {
	if os.Geteuid() == 0 {
		return content
	}
	return "?"
}

// checkOwned wants everything to be the caller's, with the time that the archive gives.
func checkOwned(t *testing.T, path string) {
	t.Helper()
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && sys.Owner(info) != os.Geteuid() {
			t.Errorf("%q belongs to %d", name, sys.Owner(info))
		}
		if err == nil && !d.IsDir() && !info.ModTime().Equal(time.Unix(1_500_000_000, 0)) {
			t.Errorf("%q is of %v", name, info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestExportWarningsEnd(t *testing.T) {
	var members []*tarMember
	for i := range maxWarnings + 5 {
		members = append(members, tarLink(fmt.Sprintf("l%04d", i), "/x"))
	}
	g := newGround(t)
	got, err := exporting(t, servedTree{tar: tarOf(t, members...)}).Export(t.Context(), "/workspace", g.out, nil)
	if err != nil || len(got.Warnings) != maxWarnings+1 || got.Warnings[maxWarnings] != "and 5 more" {
		t.Errorf("%d warnings, %v", len(got.Warnings), err)
	}
}

// TestExport26Targets: where something is, nothing changes, and nothing leads elsewhere.
func TestExport26Targets(t *testing.T) {
	served := servedTree{tar: tarOf(t, tarFile("f", "new"))}
	for name, c := range map[string]struct {
		make  func(g ground) error
		force bool
		kind  api.Kind // "": it works
	}{
		"a file":                       {func(g ground) error { return os.WriteFile(g.out, []byte("old"), 0o644) }, false, api.Exists},
		"a directory":                  {func(g ground) error { return os.Mkdir(g.out, 0o755) }, false, api.Exists},
		"a link to a directory":        {func(g ground) error { return os.Symlink("..", g.out) }, false, api.Exists},
		"a dangling link":              {func(g ground) error { return os.Symlink("../new", g.out) }, false, api.Exists},
		"a file, by force":             {func(g ground) error { return os.WriteFile(g.out, []byte("old"), 0o400) }, true, ""},
		"a full directory, by force":   {func(g ground) error { return os.MkdirAll(filepath.Join(g.out, "a", "b"), 0o755) }, true, ""},
		"a link outwards, by force":    {func(g ground) error { return os.Symlink("..", g.out) }, true, ""},
		"nothing, by force":            {func(ground) error { return nil }, true, ""},
		"parents that are missing":     {func(g ground) error { return os.RemoveAll(g.dir) }, false, ""},
		"a parent that is a file":      {func(g ground) error { return errors.Join(os.RemoveAll(g.dir), os.WriteFile(g.dir, nil, 0o644)) }, false, api.Invalid},
		"a parent that is a link":      {func(g ground) error { return errors.Join(os.Rename(g.dir, g.dir+"x"), os.Symlink("dirx", g.dir)) }, false, ""},
		"a parent that dangles":        {func(g ground) error { return errors.Join(os.RemoveAll(g.dir), os.Symlink("none", g.dir)) }, false, api.Invalid},
		"what a dead export left":      {func(g ground) error { return nil }, false, ""},
		"the home directory, by force": {func(g ground) error { return os.Mkdir(g.out, 0o755) }, true, api.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			g := ground{dir: filepath.Join(base, "dir"), out: filepath.Join(base, "dir", "out")}
			if err := errors.Join(os.Mkdir(g.dir, 0o755), c.make(g)); err != nil {
				t.Fatal(err)
			}
			before := stands(t, base)
			ws := exporting(t, served)
			if c.kind == api.Denied {
				ws.client.env = ws.client.env.with("HOME", filepath.Join(g.out, "me"))
				if err := os.Mkdir(filepath.Join(g.out, "me"), 0o755); err != nil {
					t.Fatal(err)
				}
				before = stands(t, base)
			}
			got, err := ws.Export(t.Context(), ".", g.out, &ExportOptions{Force: c.force})
			if c.kind != "" {
				if api.KindOf(err) != c.kind {
					t.Errorf("%v, want %s", err, c.kind)
				}
				if diff := cmp.Diff(before, stands(t, base)); diff != "" {
					t.Errorf("something changed (-want +got):\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			there := stands(t, real(g.dir))
			if len(there) != 2 || there["out/f"] != "-rw-r--r-- new" {
				t.Errorf("there is %v", there)
			}
			if got.OutputPath != filepath.Join(real(g.dir), "out") {
				t.Errorf("output path %s", got.OutputPath)
			}
		})
	}
}

// TestExportFailureDropsParents: a path that was made for nothing goes again.
func TestExportFailureDropsParents(t *testing.T) {
	g := newGround(t)
	ws := exporting(t, servedTree{tar: []byte("no archive")})
	if _, err := ws.Export(t.Context(), ".", filepath.Join(g.dir, "a/b/c"), nil); err == nil || len(stands(t, g.dir)) != 0 {
		t.Errorf("%v, %v", err, stands(t, g.dir))
	}
}

func TestExportPaths31(t *testing.T) {
	ws := exporting(t, servedTree{tar: tarOf(t)})
	for _, path := range []string{"/workspace-evil", "/etc", "..", "a/../../etc", "/workspace/../etc", "/", "", "a\x00b", "/workspace/..", "\xff"} {
		g := newGround(t)
		if _, err := ws.Export(t.Context(), path, g.out, nil); !errors.Is(err, api.Invalid) || len(stands(t, g.dir)) != 0 {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestExportOutputs(t *testing.T) {
	ws := exporting(t, servedTree{tar: tarOf(t, tarFile("f", "x"))})
	home := t.TempDir()
	ws.client.env = ws.client.env.with("HOME", home)
	if got, err := ws.Export(t.Context(), ".", "~/out", nil); err != nil || got.OutputPath != filepath.Join(real(home), "out") {
		t.Errorf("in the home directory: %+v, %v", got, err)
	}
	for output, kind := range map[string]api.Kind{"": api.Invalid, "a\x00": api.Invalid, "/": api.Exists, ".": api.Exists} {
		if _, err := ws.Export(t.Context(), ".", output, nil); !errors.Is(err, kind) {
			t.Errorf("%q: %v, want %s", output, err, kind)
		}
	}
	if _, err := ws.Export(t.Context(), ".", home, &ExportOptions{Format: "zip"}); !errors.Is(err, api.Invalid) {
		t.Errorf("zip: %v", err)
	}
}

func TestExportToIsAnArchiveOfTheSame(t *testing.T) {
	members := []*tarMember{tarDir("d"), tarFile("d/f", "x").mode(0o6755).owned(), tarLink("d/l", "../a"), tarSpecial(tar.TypeFifo, "pipe")}
	var out bytes.Buffer
	got, err := exporting(t, servedTree{tar: tarOf(t, members...)}).ExportTo(t.Context(), "/workspace", &out, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &api.Export{
		WorkspaceID: testID, WorkspacePath: "/workspace", OutputPath: "-", ArtifactType: "directory", EntryCount: 3, BytesWritten: 1,
		ExecutionMode: api.ModeGuestVsock, Format: api.ExportTar, Skipped: 1, Warnings: []string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r := tar.NewReader(&out)
	for _, want := range []tar.Header{{Name: "d/", Mode: 0o755}, {Name: "d/f", Mode: 0o755}, {Name: "d/l", Linkname: "../a", Mode: 0o777}} {
		h, err := r.Next()
		if err != nil || h.Name != want.Name || h.Mode != want.Mode || h.Linkname != want.Linkname || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%+v, %v", h, err)
		}
	}
}

// TestExportIsCanceled while the guest is silent.
func TestExportIsCanceled(t *testing.T) {
	g := newGround(t)
	began := make(chan struct{})
	ws := exportingBy(t, func(p *peer) {
		p.json(wire.FrameHead, api.TreeHead{ArtifactType: "directory"})
		_ = p.send(wire.FrameStdout, string(tarOf(t, tarFile("a", "x"))[:512]))
		close(began)
		p.awaitHangup()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends with the test
		<-began
		cancel()
	}()
	if _, err := ws.Export(ctx, ".", g.out, nil); !errors.Is(err, api.Canceled) || len(stands(t, g.dir)) != 0 {
		t.Errorf("%v, %v", err, stands(t, g.dir))
	}
}

func TestExportTellsHowFarItIs(t *testing.T) {
	var members []*tarMember
	for i := range 300 {
		members = append(members, tarFile(fmt.Sprint(i), strings.Repeat("x", 1000)))
	}
	g := newGround(t)
	entries, size := 0, int64(0)
	_, err := exporting(t, servedTree{tar: tarOf(t, members...)}).Export(t.Context(), ".", g.out, &ExportOptions{Progress: func(n int, bytes int64) {
		if n < entries || bytes < size {
			t.Errorf("%d entries, %d bytes after %d, %d", n, bytes, entries, size)
		}
		entries, size = n, bytes
	}})
	if err != nil || entries == 0 || size < 300_000 {
		t.Errorf("%d entries, %d bytes, %v", entries, size, err)
	}
}

// TestExportNamesItsWorkspaceOnce: an error that a supervisor told names it already.
func TestExportNamesItsWorkspaceOnce(t *testing.T) {
	g := newGround(t)
	w := exporting(t, servedTree{fail: &api.ErrorReply{Kind: api.Invalid, Error: "export from workspace " + exporting(t, servedTree{}).ID() + ": too deep", Hint: "again"}})
	_, err := w.Export(t.Context(), "/workspace", g.out, nil)
	if err == nil || strings.Count(err.Error(), "export from workspace") != 1 || api.HintOf(err) != "again" {
		t.Errorf("%v, hint %q", err, api.HintOf(err))
	}
}
