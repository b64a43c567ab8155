package supervisor

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// keptSeed keeps an archive as a baseline.
func keptSeed(t *testing.T, data []byte) *seedTree {
	t.Helper()
	dir := t.TempDir()
	w, err := workspace.NewBaseline(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	kept, _, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return &seedTree{kept: kept, workspace: dir}
}

// asBefore makes of a seed one with a list of lines, which has no places, as pyro kept it
// once.
func asBefore(t *testing.T, seed *seedTree) *seedTree {
	t.Helper()
	var lines strings.Builder
	err := seed.kept.Each(seed.workspace, func(e *workspace.ManifestEntry) error {
		line := map[string]any{"p": e.Path, "k": e.Kind, "m": e.Mode, "s": e.Size, "t": e.MTime, "l": e.Target, "h": e.LinkTo}
		if e.Kind == "file" {
			line["d"] = fmt.Sprintf("%x", e.SHA256)
		}
		text, err := json.Marshal(line)
		fmt.Fprintf(&lines, "%s\n", text)
		return err
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(seed.workspace, "baseline", "manifest.jsonl"), []byte(lines.String()), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	old := &workspace.Baseline{ArchiveSize: seed.kept.ArchiveSize, Manifest: fmt.Sprintf("%x", sha256.Sum256([]byte(lines.String())))}
	return &seedTree{kept: old, workspace: seed.workspace}
}

// held is what the files of a seed hold, by path.
func held(t *testing.T, seed *seedTree) map[string]string {
	t.Helper()
	nodes, err := seed.nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]bool)
	for i := range nodes {
		if nodes[i].kind == "file" {
			files[nodes[i].path] = true
		}
	}
	from, err := seed.contents(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	defer from.close()
	found := make(map[string]string)
	for i := range nodes {
		if n := &nodes[i]; n.kind == "file" {
			r, err := from.read(n)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(io.NewSectionReader(r, 0, n.size))
			if err != nil {
				t.Fatal(err)
			}
			found[n.path] = string(text)
		}
	}
	return found
}

func TestContentOfASeedIsFoundWithAndWithoutPlaces(t *testing.T) {
	seed := keptSeed(t, aProject(t))
	want := map[string]string{"d/first": "one\ntwo\n", "d/second": "one\ntwo\n", "data": "a\x00b", "run": "#!/bin/sh\n", "same": "same\n"}
	for name, tree := range map[string]*seedTree{"places": seed, "lines": asBefore(t, seed)} {
		if tree.kept.Placed() != (name == "places") {
			t.Errorf("%s: places are noted: %v", name, tree.kept.Placed())
		}
		if diff := cmp.Diff(want, held(t, tree)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A place says where to look, and nothing of what is there is believed.
func TestWrongPlacesInASeedAreDamage(t *testing.T) {
	seed := keptSeed(t, aProject(t))
	nodes, err := seed.nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from, err := seed.contents(t.Context(), map[string]bool{"same": true})
	if err != nil {
		t.Fatal(err)
	}
	defer from.close()
	n := nodes[len(nodes)-1]
	if n.path != "same" {
		t.Fatalf("the last is %s", n.path)
	}
	if _, err := from.read(&n); err != nil {
		t.Fatal(err)
	}
	for name, place := range map[string][2]int64{
		"elsewhere": {n.from - 1, n.size}, "nowhere": {0, n.size}, "before all": {-1, n.size}, "behind all": {1 << 60, n.size},
		"beyond the end": {seed.kept.ArchiveSize - 2, n.size}, "longer than all": {n.from, 1 << 62},
	} {
		wrong := n
		wrong.from, wrong.size = place[0], place[1]
		if _, err := from.read(&wrong); api.KindOf(err) != api.Conflict || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
