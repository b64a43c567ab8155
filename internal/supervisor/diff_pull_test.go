package supervisor

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// TestFetchedContentCounts holds that not what a walk told, but what came, is what is there.
func TestFetchedContentCounts(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	fetch := &fetcher{longest: 10}
	told := &seen{kind: archive.KindFile, mode: 0o600, size: 3}
	for name, c := range map[string]struct {
		came   []member
		kind   archive.Kind
		unread bool
		err    error
	}{
		"it went":           {kind: ""},
		"another length":    {came: []member{{kind: archive.KindFile, size: 7}}, kind: archive.KindFile},
		"it grew too long":  {came: []member{{kind: archive.KindFile, size: 11}}, kind: archive.KindFile, unread: true},
		"now a link":        {came: []member{{kind: archive.KindSymlink, target: "x"}}, kind: archive.KindSymlink},
		"now a directory":   {came: []member{{kind: archive.KindDirectory}}, err: errMoved},
		"twice, the last":   {came: []member{{kind: archive.KindDirectory}, {kind: archive.KindFile, size: 1}}, kind: archive.KindFile},
		"beyond what came":  {came: []member{{kind: archive.KindFile, from: 6, size: 7}}, err: errCutMember},
		"of a longer start": {came: []member{{kind: archive.KindFile, from: 3, size: 4}}, kind: archive.KindFile},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pulled{f: f, index: tarIndex{"path": c.came}}
			got, err := fetch.now(p, &difference{path: "path", now: told, need: needContent})
			if !errors.Is(err, c.err) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if err == nil && (got.kind != c.kind || got.unread != c.unread) {
				t.Errorf("%+v", got)
			}
		})
	}
	long := &difference{path: "path", now: &seen{kind: archive.KindFile, size: 11}, need: needContent}
	if got, err := fetch.now(&pulled{}, long); err != nil || !got.unread || got.size != 11 {
		t.Errorf("a long file, which is not fetched: %+v, %v", got, err)
	}
}

func TestFetchTakesNoMoreThanWasTold(t *testing.T) {
	var b bytes.Buffer
	w := &atMostBytes{&b, 5, errMoved}
	if _, err := w.Write([]byte("12345")); err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte("6")); !errors.Is(err, errMoved) || b.Len() != 5 {
		t.Errorf("%v, %d bytes", err, b.Len())
	}
}
