package workspace

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
)

// image makes one of two files in a new workspace directory.
func image(t *testing.T) (dir string, saved *SavedDisk) {
	t.Helper()
	dir = t.TempDir()
	saved, err := NewImage(dir, &Record{})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"pages.img": strings.Repeat("page", 1000), "names.pb": "names"} {
		if err := os.WriteFile(filepath.Join(saved.Dir(dir), name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := saved.Seal(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return dir, saved
}

func TestImageIsSealed(t *testing.T) {
	dir, saved := image(t)
	for name, data := range map[string]string{"pages.img": strings.Repeat("page", 1000), "names.pb": "names"} {
		want := SavedFile{Size: int64(len(data)), SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(data)))}
		if got := saved.Files[name]; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if err := errors.Join(saved.Present(dir, testBack), saved.Verify(t.Context(), dir, testBack)); err != nil {
		t.Error(err)
	}
	for name := range saved.Files { // another user restores it
		info, err := os.Stat(filepath.Join(saved.Dir(dir), name))
		if err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestEmptyImageIsNone(t *testing.T) {
	dir := t.TempDir()
	saved, err := NewImage(dir, &Record{})
	if err != nil {
		t.Fatal(err)
	}
	if err := saved.Seal(t.Context(), dir); err == nil {
		t.Error("an image without a file was sealed")
	}
}

const testBack = "what to do about it"

// Who has gone one image back already is not sent there again.
func TestWayBackEnds(t *testing.T) {
	r := &Record{ID: testID, Disk: &SavedDisk{Generation: 3}, Proven: &SavedDisk{Generation: 1}}
	if got := r.WayBack(r.Disk); !strings.Contains(got, testID+" --previous") {
		t.Errorf("from the newest: %s", got)
	}
	if got := r.WayBack(r.Previous()); strings.Contains(got, "--previous") {
		t.Errorf("from the one before it: %s", got)
	}
}

// Whatever happens to an image is found, and said in words that lead on.
func TestDamagedImageIsRefused(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"cut":         func(p string) error { return os.Truncate(p+"/pages.img", 2000) },
		"longer":      func(p string) error { return os.Truncate(p+"/pages.img", 5000) },
		"empty":       func(p string) error { return os.Truncate(p+"/names.pb", 0) },
		"missing":     func(p string) error { return os.Remove(p + "/names.pb") },
		"another":     func(p string) error { return os.WriteFile(p+"/more", nil, 0o600) },
		"renamed":     func(p string) error { return os.Rename(p+"/names.pb", p+"/name.pb") },
		"a directory": func(p string) error { return errors.Join(os.Remove(p+"/names.pb"), os.Mkdir(p+"/names.pb", 0o700)) },
		"a link": func(p string) error {
			return errors.Join(os.Rename(p+"/names.pb", p+"/../names"), os.Symlink("../names", p+"/names.pb"))
		},
		"one byte": func(p string) error { return os.WriteFile(p+"/names.pb", []byte("namez"), 0o600) },
		"gone":     os.RemoveAll,
	} {
		t.Run(name, func(t *testing.T) {
			dir, saved := image(t)
			if err := damage(saved.Dir(dir)); err != nil {
				t.Fatal(err)
			}
			err := saved.Present(dir, testBack)
			if err == nil {
				err = saved.Verify(t.Context(), dir, testBack)
			}
			if api.KindOf(err) != api.Conflict || !strings.Contains(err.Error(), "saved disk is damaged") || api.HintOf(err) != testBack {
				t.Errorf("error is %v (%s)", err, api.HintOf(err))
			}
		})
	}
}

func TestForeignImageIsRefused(t *testing.T) {
	d := &SavedDisk{Format: "gvisor/1"}
	if err := d.Foreign("gvisor/1", testBack); err != nil {
		t.Error(err)
	}
	err := d.Foreign("gvisor/2", testBack)
	if api.KindOf(err) != api.Unsupported || !strings.Contains(err.Error(), "gvisor/1") || !strings.Contains(err.Error(), "gvisor/2") || !strings.Contains(api.HintOf(err), testBack) {
		t.Errorf("error is %v (%s)", err, api.HintOf(err))
	}
}

// Only what the record names counts: the rest is removed, and no number comes twice.
func TestImagesThatCountStay(t *testing.T) {
	dir, first := image(t)
	r := &Record{Disk: first}
	second, err := NewImage(dir, r)
	if err != nil || second.Generation != 2 {
		t.Fatalf("%+v, %v", second, err)
	}
	wantThere(t, first.Dir(dir))
	again, err := NewImage(dir, r) // the second was never finished
	if err != nil || again.Generation != 2 {
		t.Fatalf("%+v, %v", again, err)
	}
	r.Proven, r.Disk = first, again
	third, err := NewImage(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	r.Disk = third
	if err := PruneImages(dir, r); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, savedName))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"1", "3"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := r.Previous(); got != first {
		t.Errorf("before the newest came %+v", got)
	}
	if r.Proven = third; r.Previous() != nil {
		t.Error("the newest is proven; before it came the seed")
	}
}

// What a name in the state leads to elsewhere is nobody's business: it is neither read
// nor emptied, and nothing waits for it.
func TestNothingIsFollowed(t *testing.T) {
	dir, saved := image(t)
	elsewhere := t.TempDir()
	precious := filepath.Join(elsewhere, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	images := filepath.Join(dir, savedName)
	if err := errors.Join(os.Rename(images, images+".away"), os.Symlink(elsewhere, images)); err != nil {
		t.Fatal(err)
	}
	if err := saved.Present(dir, testBack); api.KindOf(err) != api.Conflict {
		t.Errorf("an image through a link: %v", err)
	}
	if err := PruneImages(dir, &Record{}); err == nil {
		t.Error("images behind a link were removed")
	}
	if _, err := NewImage(dir, &Record{}); err == nil {
		t.Error("an image was begun behind a link")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}
