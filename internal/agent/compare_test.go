package agent

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// fileEntry is an entry as a push of tarOf leaves it.
func fileEntry(path string, size int64) wire.TreeEntry {
	return wire.TreeEntry{Path: []byte(path), Kind: "file", Mode: 0o644, Size: size, MTime: aTime.Unix()}
}

func linkEntry(path, target string) wire.TreeEntry {
	return wire.TreeEntry{Path: []byte(path), Kind: "symlink", Mode: 0o777, MTime: aTime.Unix(), Target: []byte(target)}
}

func dirEntry(path string, mode uint32) wire.TreeEntry {
	return wire.TreeEntry{Path: []byte(path), Kind: "directory", Mode: mode, MTime: aTime.Unix()}
}

func TestCompare(t *testing.T) {
	with := func(e wire.TreeEntry, change func(*wire.TreeEntry)) wire.TreeEntry {
		change(&e)
		return e
	}
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		if _, err := push(
			t, c, "in",
			tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o1750},
			tar.Header{Name: "d/e/f", Mode: 0o644, Size: 5},
			tar.Header{Name: "d/l", Typeflag: tar.TypeSymlink, Linkname: "e/f"},
			tar.Header{Name: "finer", Mode: 0o644, Size: 5},
			tar.Header{Name: "set", Mode: 0o4755, Size: 5},
		); err != nil {
			t.Fatal(err)
		}
		finer := aTime.Add(time.Nanosecond)
		if err := os.Chtimes(filepath.Join(cfg.Workspace, "in/finer"), finer, finer); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(filepath.Join(cfg.Workspace, "in/fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
		var entries []wire.TreeEntry
		var want []bool
		f, l := fileEntry("d/e/f", 5), linkEntry("d/l", "e/f")
		for _, tt := range []struct {
			entry  wire.TreeEntry
			needed bool
		}{
			{dirEntry("d", 0o1750), false},
			{dirEntry("d", 0o750), true},
			{with(dirEntry("d", 0o1750), func(e *wire.TreeEntry) { e.MTime++ }), true},
			{dirEntry("d/e", 0o755), true}, // made on the way, so its time is now
			{f, false},
			{with(f, func(e *wire.TreeEntry) { e.Size = 6 }), true},
			{with(f, func(e *wire.TreeEntry) { e.Mode = 0o600 }), true},
			{with(f, func(e *wire.TreeEntry) { e.MTime++ }), true},
			{fileEntry("d/e/g", 5), true},
			{fileEntry("d/e", 5), true},
			{fileEntry("d/e/f/g", 5), true},
			{fileEntry("d/e/f/g/h", 5), true},
			{dirEntry("d/e/f", 0o644), true},
			{linkEntry("d/e/f", "f"), true},
			{l, false},
			{with(l, func(e *wire.TreeEntry) { e.Mode = 0 }), false},
			{with(l, func(e *wire.TreeEntry) { e.MTime-- }), true},
			{linkEntry("d/l", "e/g"), true},
			{linkEntry("d/l", "e/f/"), true},
			{fileEntry("d/l", 5), true},
			{fileEntry("d/l/x", 5), true},
			{fileEntry("finer", 5), true},
			{fileEntry("fifo", 0), true},
			{fileEntry("set", 5), true},
			{with(fileEntry("set", 5), func(e *wire.TreeEntry) { e.Mode = 0o4755 }), false},
			{fileEntry("x/y/z", 5), true},
			{fileEntry("x", 5), true},
			{f, false}, // not in the order of a walk
			{dirEntry(strings.Repeat("n", 300), 0o755), true},
		} {
			entries, want = append(entries, tt.entry), append(want, tt.needed)
		}
		got, err := c.CompareTree(t.Context(), "/workspace/in", slices.Values(entries))
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			if got[i] != want[i] {
				t.Errorf("entry %d, %s %s: needed %v, want %v", i, e.Kind, e.Path, got[i], want[i])
			}
		}
	})
}

func TestCompareWithoutDestination(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		tree(t, cfg.Workspace, map[string]string{"f": "f", "d/f": "f", "l": "-> d"})
		for _, to := range []string{"missing", "missing/too", "f", "f/x", "l", "l/x"} {
			got, err := c.CompareTree(t.Context(), to, slices.Values([]wire.TreeEntry{dirEntry("a", 0), fileEntry("f", 1), fileEntry("a/f", 1)}))
			if err != nil {
				t.Errorf("%s: %v", to, err)
			}
			if diff := cmp.Diff([]bool{true, true, true}, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", to, diff)
			}
		}
		if got, err := c.CompareTree(t.Context(), ".", slices.Values([]wire.TreeEntry(nil))); err != nil || len(got) > 0 {
			t.Errorf("of nothing: %v, %v", got, err)
		}
	})
}

// What is pushed need not be pushed again, whatever kind of tree it is.
func TestCompareAfterPush(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	var members []tar.Header
	var entries []wire.TreeEntry
	for i := range 300 {
		dir := fmt.Sprintf("d%d/%s", i%7, strings.Repeat("n/", i%11))
		members = append(members, tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: fmt.Sprintf("%sf%d\xff", dir, i), Mode: 0o644, Size: int64(i)})
		entries = append(entries, dirEntry(strings.TrimSuffix(dir, "/"), 0o755), fileEntry(fmt.Sprintf("%sf%d\xff", dir, i), int64(i)))
	}
	for _, want := range []bool{true, false} {
		got, err := c.CompareTree(t.Context(), "/workspace", slices.Values(entries))
		if err != nil || len(got) != len(entries) || slices.Contains(got, !want) {
			t.Errorf("want %v for all %d, got %v, %v", want, len(entries), got, err)
		}
		if _, err := push(t, c, "/workspace", members...); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCompareRefuses(t *testing.T) {
	entry := func(path string) string { return fmt.Sprintf(`{"p":%q,"k":"file"}`+"\n", b64(path)) }
	data := func(text string) string { return frame(t, wire.FrameData, []byte(text)) }
	end := frame(t, wire.FrameEnd, nil)
	for name, tt := range map[string]struct {
		frames string
		kind   api.Kind
		text   string
	}{
		"path that leads out":   {data(entry("a/../..")) + end, api.Invalid, "plain path"},
		"absolute path":         {data(entry("/etc/passwd")) + end, api.Invalid, "plain path"},
		"no entry":              {data("{}\n") + end, api.Invalid, "no path"},
		"empty line":            {data(entry("a")+"\n"+entry("b")) + end, api.Invalid, "no JSON object"},
		"half a line":           {data(`{"p":"YQ==`) + end, api.Invalid, "no JSON object"},
		"endless line":          {data(strings.Repeat(" ", 1<<20)) + data(strings.Repeat(" ", 1<<20)), api.Invalid, "too long"},
		"no frames":             {entry("a"), api.Invalid, "frame"},
		"cut":                   {data(entry("a")), api.Canceled, "connection"},
		"cut in a line":         {data(`{"p":`), api.Canceled, "connection"},
		"host gives up":         {data(entry("a")) + frame(t, wire.FrameFail, []byte(`{"error":"why"}`)), api.Canceled, "why"},
		"frame of another type": {data(entry("a")) + frame(t, wire.FrameStdin, nil) + end, api.Invalid, "frame"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			f := failure(t, talk(t, newAgent(cfg), []byte(`{"action":"compare_tree"}`+"\n"+tt.frames)))
			if f.Kind != string(tt.kind) || !strings.Contains(f.Error, tt.text) {
				t.Errorf("reply %+v, want %q about %q", f, tt.kind, tt.text)
			}
		})
	}
}

func b64(path string) string {
	text, _ := json.Marshal([]byte(path))
	return strings.Trim(string(text), `"`)
}

func TestCompareReadsLinesAcrossFrames(t *testing.T) {
	lines := fmt.Sprintf(`{"p":%q,"k":"file"}`+"\n"+`{"p":%q,"k":"directory","m":493,"t":%d}`, b64("missing"), b64("d"), aTime.Unix())
	var request bytes.Buffer
	request.WriteString(`{"action":"compare_tree"}` + "\n")
	for _, b := range []byte(lines) {
		request.WriteString(frame(t, wire.FrameData, []byte{b}))
	}
	request.WriteString(frame(t, wire.FrameEnd, nil))
	cfg := testConfig(t)
	tree(t, cfg.Workspace, map[string]string{"d/": ""})
	if err := os.Chtimes(filepath.Join(cfg.Workspace, "d"), aTime, aTime); err != nil {
		t.Fatal(err)
	}
	if got, want := string(talk(t, newAgent(cfg), request.Bytes())), `{"count":2,"needed":"AQ=="}`+"\n"; got != want {
		t.Errorf("reply %q, want %q", got, want)
	}
}

func TestStalledCompareEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := served(t, newAgent(testConfig(t)))
		_, _ = fmt.Fprintf(conn, `{"action":"compare_tree"}`+"\n"+"%s", frame(t, wire.FrameData, []byte("{")))
		start := time.Now()
		var reply [4096]byte
		n, err := conn.Read(reply[:])
		if err != nil {
			t.Fatal(err)
		}
		if f := failure(t, reply[:n]); f.Kind != string(api.Timeout) {
			t.Errorf("reply %+v", f)
		}
		if took := time.Since(start); took != bodyTimeout {
			t.Errorf("took %v", took)
		}
	})
}

func BenchmarkCompare(b *testing.B) {
	cfg := testConfig(b)
	c := serve(b, cfg)
	var entries []wire.TreeEntry
	for i := range 10_000 {
		path := fmt.Sprintf("src/package%d/module%d/file%d.go", i/400, i/20, i)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(cfg.Workspace, path)), 0o755); err != nil {
			b.Fatal(err)
		}
		file := filepath.Join(cfg.Workspace, path)
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			b.Fatal(err)
		}
		if err := os.Chtimes(file, aTime, aTime); err != nil {
			b.Fatal(err)
		}
		entries = append(entries, fileEntry(path, 0))
	}
	for b.Loop() {
		got, err := c.CompareTree(b.Context(), "/workspace", slices.Values(entries))
		if err != nil || slices.Contains(got, true) {
			b.Fatalf("something differs, %v", err)
		}
	}
}
