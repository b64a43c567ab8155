package archive_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

func TestIndexDescribesMembers(t *testing.T) {
	one, two := sha256.Sum256([]byte("one")), sha256.Sum256([]byte("number two"))
	data := tarball(t, directory("d/").mode(0o2750), file("d/f", "one").mode(0o755), hardLink("h", "d/f"), symlink("l", "../x"),
		file("d/f", "number two"), hardLink("i", "d/f"), hardLink("j", "h"), file("empty", ""))
	var got []archive.Entry
	counts, err := archive.Index(t.Context(), bytes.NewReader(data), archive.Limits{}, func(e archive.Entry) error {
		if e.Kind == archive.KindFile {
			content := data[e.From : e.From+e.Size]
			if sha256.Sum256(content) != e.SHA256 {
				t.Errorf("%s is said to begin at %d, where there is %q", e.Path, e.From, content)
			}
		}
		e.From = 0
		got = append(got, e)
		return nil
	})
	if err != nil || counts != (archive.Counts{Entries: 8, Bytes: 13}) {
		t.Errorf("%+v, %v", counts, err)
	}
	want := []archive.Entry{
		{Path: "d", Kind: archive.KindDirectory, Mode: 0o2750, ModTime: mtime},
		{Path: "d/f", Kind: archive.KindFile, Mode: 0o755, Size: 3, ModTime: mtime, SHA256: one},
		{Path: "h", Kind: archive.KindFile, Mode: 0o644, Size: 3, ModTime: mtime, LinkTo: "d/f", SHA256: one},
		{Path: "l", Kind: archive.KindSymlink, Mode: 0o777, ModTime: mtime, Target: "../x"},
		{Path: "d/f", Kind: archive.KindFile, Mode: 0o644, Size: 10, ModTime: mtime, SHA256: two},
		{Path: "i", Kind: archive.KindFile, Mode: 0o644, Size: 10, ModTime: mtime, LinkTo: "d/f", SHA256: two},
		{Path: "j", Kind: archive.KindFile, Mode: 0o644, Size: 3, ModTime: mtime, LinkTo: "h", SHA256: one},
		{Path: "empty", Kind: archive.KindFile, Mode: 0o644, ModTime: mtime, SHA256: sha256.Sum256(nil)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestIndexReturnsTheErrorOfItsCaller(t *testing.T) {
	mine := errors.New("mine")
	data := tarball(t, file("a", ""))
	if _, err := archive.Index(t.Context(), bytes.NewReader(data), archive.Limits{}, func(archive.Entry) error { return mine }); err != mine {
		t.Errorf("got %v", err)
	}
}

func TestIndexReadsNothingCompressed(t *testing.T) {
	for name, data := range xzSamples(t) {
		if _, err := archive.Index(t.Context(), bytes.NewReader(data), archive.Limits{}, nothing); !errors.Is(err, archive.ErrFormat) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
