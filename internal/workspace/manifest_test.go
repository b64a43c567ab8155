package workspace

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// oldManifest is that of tree as pyro wrote it before there were records.
const oldManifest = `{"p":"ZA==","k":"directory","m":488,"t":0}
{"p":"ZC9m","k":"file","m":493,"s":4,"t":0,"d":"3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"}
{"p":"ZC9oYXJk","k":"file","m":493,"s":4,"t":0,"h":"ZC9m","d":"3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"}
{"p":"bGluaw==","k":"symlink","m":511,"t":0,"l":"Li4vb3V0c2lkZQ=="}
`

// entries are what Each tells.
func entries(t *testing.T, b *Baseline, dir string) []ManifestEntry {
	t.Helper()
	var got []ManifestEntry
	if err := b.Each(dir, func(e *ManifestEntry) error { got = append(got, *e); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

// asTree is what the manifest of tree says, without places.
func asTree() []ManifestEntry {
	sum := sha256.Sum256([]byte("data"))
	return []ManifestEntry{
		{Path: []byte("d"), Kind: "directory", Mode: 0o750},
		{Path: []byte("d/f"), Kind: "file", Mode: 0o755, Size: 4, SHA256: sum},
		{Path: []byte("d/hard"), Kind: "file", Mode: 0o755, Size: 4, LinkTo: []byte("d/f"), SHA256: sum},
		{Path: []byte("link"), Kind: "symlink", Mode: 0o777, Target: []byte("../outside")},
	}
}

func TestManifestTellsWhereContentLies(t *testing.T) {
	data := tree(t)
	dir, b := keep(t, data)
	got := entries(t, b, dir)
	if !b.Placed() {
		t.Error("places are not noted")
	}
	for i := range got {
		if got[i].Kind == "file" && string(data[got[i].From:][:got[i].Size]) != "data" {
			t.Errorf("%s is said to begin at %d", got[i].Path, got[i].From)
		}
		got[i].From = 0
	}
	if diff := cmp.Diff(asTree(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// keepOld makes of a baseline one that pyro kept before there were records.
func keepOld(t *testing.T, archive []byte) (dir string, b *Baseline) {
	t.Helper()
	dir, b = keep(t, archive)
	old := &Baseline{ArchiveSize: b.ArchiveSize, Manifest: fmt.Sprintf("%x", sha256.Sum256([]byte(oldManifest)))}
	at := filepath.Join(dir, baselineName)
	if err := errors.Join(os.Remove(filepath.Join(at, b.manifestName())), os.WriteFile(filepath.Join(at, "manifest.jsonl"), []byte(oldManifest), 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir, old
}

func TestManifestOfLinesIsStillRead(t *testing.T) {
	dir, b := keepOld(t, tree(t))
	if b.Placed() {
		t.Error("places are said to be noted")
	}
	if diff := cmp.Diff(asTree(), entries(t, b, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := b.Verify(t.Context(), dir); err != nil {
		t.Error(err)
	}
	borrowed := t.TempDir()
	if err := BorrowBaseline(t.Context(), borrowed, dir, b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asTree(), entries(t, b, borrowed)); diff != "" {
		t.Errorf("borrowed (-want +got):\n%s", diff)
	}
}

func TestDamagedManifestIsRefused(t *testing.T) {
	for name, kept := range map[string]func(*testing.T, []byte) (string, *Baseline){"records": keep, "lines": keepOld} {
		for what, damage := range map[string]func([]byte) []byte{
			"cut":      func(b []byte) []byte { return b[:len(b)-1] },
			"longer":   func(b []byte) []byte { return append(b, 'x') },
			"empty":    func([]byte) []byte { return nil },
			"one byte": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"twice":    func(b []byte) []byte { return append(b, b...) },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				dir, b := kept(t, tree(t))
				path := filepath.Join(dir, baselineName, b.manifestName())
				data, err := os.ReadFile(path)
				if err == nil {
					err = os.WriteFile(path, damage(data), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				err = b.Each(dir, func(*ManifestEntry) error { return nil })
				if api.KindOf(err) != api.Conflict || !strings.Contains(err.Error(), "is damaged") {
					t.Errorf("error is %v", err)
				}
			})
		}
	}
	dir, b := keep(t, tree(t))
	b.Format = 7
	if err := b.Each(dir, func(*ManifestEntry) error { return nil }); err == nil {
		t.Error("a manifest of a later pyro was read")
	}
}

// rec is one record of a manifest.
func rec(parts ...any) (made []byte) {
	for _, part := range parts {
		switch p := part.(type) {
		case string:
			made = append(made, p...)
		case int:
			made = append(made, byte(p))
		}
	}
	return made
}

func TestBadRecordsAreRefused(t *testing.T) {
	sum := strings.Repeat("s", sha256.Size)
	for name, data := range map[string][]byte{
		"no kind":                        rec("x", 0, 1, "a", 0, 0),
		"more shared than there was":     rec("d", 1, 1, "a", 0, 0),
		"cut in the path":                rec("d", 0, 5, "a"),
		"a long path":                    rec("d", 0, 0xff, 0xff, 3, strings.Repeat("a", 70_000)),
		"more than a mode":               rec("d", 0, 1, "a", 0x80, 0x20, 0),
		"an endless number":              rec("d", 0, 1, "a", strings.Repeat("\xff", 20)),
		"a size beyond all":              rec("f", 0, 1, "a", 0, 0, strings.Repeat("\xff", 9), 1, 5, sum),
		"a place beyond all":             rec("f", 0, 1, "a", 0, 0, 1, strings.Repeat("\xff", 9), 1, sum),
		"no digest":                      rec("f", 0, 1, "a", 0, 0, 1, 5, sum[1:]),
		"a hard link to what is cut off": rec("h", 0, 1, "a", 0, 0, 1, 5, sum, 3, "bc"),
		"a hard link to nothing":         rec("h", 0, 1, "a", 0, 0, 1, 5, sum, 0),
		"no target":                      rec("l", 0, 1, "a", 0, 0),
		"the second":                     rec("d", 0, 1, "a", 0, 0, "d"),
	} {
		t.Run(name, func(t *testing.T) {
			err := eachRecord(bytes.NewReader(data), func(*ManifestEntry) error { return nil })
			if api.KindOf(err) != api.Conflict {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// written are the records of entries.
func written(t *testing.T, entries []ManifestEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := recordWriter{out: bufio.NewWriter(&b)}
	for _, e := range entries {
		err := w.add(archive.Entry{
			Path: string(e.Path), Kind: archive.Kind(e.Kind), Mode: e.Mode, Size: e.Size, ModTime: e.MTime,
			Target: string(e.Target), LinkTo: string(e.LinkTo), SHA256: e.SHA256, From: e.From,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.out.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever the bytes, what is read of them is what is written of it again.
func FuzzRecords(f *testing.F) {
	sum := strings.Repeat("s", sha256.Size)
	f.Add(rec("d", 0, 1, "d", 0o55, 0, "f", 1, 2, "/f", 4, 1, 4, 0x80, 4, sum, "h", 2, 1, "h", 4, 1, 4, 0x80, 4, sum, 3, "d/f", "l", 0, 1, "l", 7, 2, 1, "t"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var read []ManifestEntry
		if eachRecord(bytes.NewReader(data), func(e *ManifestEntry) error { read = append(read, *e); return nil }) != nil {
			return
		}
		var again []ManifestEntry
		if err := eachRecord(bytes.NewReader(written(t, read)), func(e *ManifestEntry) error { again = append(again, *e); return nil }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(read, again); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
	})
}
