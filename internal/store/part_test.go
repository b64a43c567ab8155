package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// acquireDir enters a directory and makes it, with a file in it.
func acquireDir(t *testing.T, p *Part, path string) {
	t.Helper()
	if err := p.Acquire(Resource{Kind: KindDir, Path: path}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func ledgerPaths(t *testing.T, w *Workspace) []string {
	t.Helper()
	entries, err := readLedger(w.ledger.path)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range entries {
		paths = append(paths, e.Path)
	}
	return paths
}

func TestFreeOfAPartLeavesTheRest(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	first, second := w.Part(0), w.Part(1)
	run, err := second.MakeRunDir()
	if err != nil {
		t.Fatal(err)
	}
	acquireDir(t, first, first.Place().Sandbox)
	acquireDir(t, second, second.Place().Sandbox)
	if err := second.Free(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{run, second.Place().Sandbox} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	if _, err := os.Lstat(first.Place().Sandbox); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{first.Place().Sandbox}, ledgerPaths(t, w)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	acquireDir(t, w.Part(2), w.Part(2).Place().Sandbox) // the file can be written to as before
	if got := len(ledgerPaths(t, w)); got != 2 {
		t.Errorf("the ledger has %d entries", got)
	}
	if err := w.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Part{first, second, w.Part(2)} {
		if _, err := os.Lstat(p.Place().Sandbox); err == nil {
			t.Errorf("%s is still there", p.Place().Sandbox)
		}
	}
}

func TestFreeOfAPartKeepsWhatResists(t *testing.T) {
	w := create(t, newStore(t), testID)
	p := w.Part(1)
	acquireDir(t, p, p.Place().Sandbox)
	stranger := filepath.Join(t.TempDir(), "stranger")
	acquireDir(t, p, stranger)
	if err := p.Free(t.Context()); err == nil || !strings.Contains(err.Error(), stranger) {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(stranger); err != nil {
		t.Errorf("what is none of ours is gone: %v", err)
	}
	if got := len(ledgerPaths(t, w)); got != 2 {
		t.Errorf("the ledger has %d entries, and nothing was freed for good", got)
	}
}

func TestDropKeepsLinesThatCannotBeRead(t *testing.T) {
	w := create(t, newStore(t), testID)
	p := w.Part(1)
	acquireDir(t, p, p.Place().Sandbox)
	f, err := os.OpenFile(w.ledger.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	const odd = `{"kind":"later"}` + "\n"
	if _, err := f.WriteString(odd + `{"kind":"di`); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if err := p.Free(t.Context()); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(w.ledger.path); err != nil || string(data) != odd {
		t.Errorf("%q, %v", data, err)
	}
}

func TestOwnerOf(t *testing.T) {
	for name, want := range map[string]string{
		testID: testID, testID + "-1": testID, testID + "-27": testID, testID + "-": "", testID + "-0": "", testID + "-01": "",
		testID + "-x": "", testID + "-1-1": "", "-1": "", "": "", "other": "",
	} {
		if got := OwnerOf(name); got != want {
			t.Errorf("%q belongs to %q, want %q", name, got, want)
		}
	}
}

func TestPathsOfFurtherSandboxes(t *testing.T) {
	w := create(t, newStore(t), testID)
	first := w.Part(0).Place().Sandbox
	for path, ok := range map[string]bool{
		first: true, first + "/x": true, first + "-1": true, first + "-1/x/y": true,
		first + "-0": false, first + "-": false, first + "-x/y": false, first + "1": false, filepath.Dir(first): false,
	} {
		if _, _, got := w.ownsSandbox(path); got != ok {
			t.Errorf("%s is the workspace's: %v", path, got)
		}
	}
}
