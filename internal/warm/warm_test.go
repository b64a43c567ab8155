package warm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

func cache(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, Dir), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func note(t *testing.T, cache string, id Identity) {
	t.Helper()
	if err := Note(cache, Record{Identity: id, Prepared: api.Prepare{Environment: "host", PreparedAt: 17, Engine: "gvisor"}}); err != nil {
		t.Fatal(err)
	}
}

func TestLook(t *testing.T) {
	then := Identity{Version: "1", Programs: "p", Kernel: "k", Host: "h"}
	for _, row := range []struct {
		name string
		now  Identity
		want api.Warmth
		says string
	}{
		{"the same", then, api.Warm, ""},
		{"another pyro", Identity{"2", "p", "k", "h"}, api.Stale, "pyro 1, this is 2"},
		{"other programs", Identity{"1", "q", "k", "h"}, api.Stale, "programs of pyro"},
		{"another kernel", Identity{"1", "p", "l", "h"}, api.Stale, "kernel"},
		{"another /usr", Identity{"1", "p", "k", "i"}, api.Stale, "/usr"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := cache(t)
			if got, r := Look(dir, "host", row.now); got.State != api.Cold || r != nil || got.PreparedAt != nil || got.Reason == nil {
				t.Errorf("before: %+v", got)
			}
			note(t, dir, then)
			got, r := Look(dir, "host", row.now)
			if got.State != row.want || *got.PreparedAt != 17 || r.Prepared.Engine != "gvisor" {
				t.Errorf("%+v of %+v, want %s", got, r, row.want)
			}
			if row.says == "" && got.Reason != nil || row.says != "" && !strings.Contains(*got.Reason, row.says) {
				t.Errorf("reason %v, want %q", got.Reason, row.says)
			}
		})
	}
}

func TestWhatIsNoRecordIsCold(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"no JSON":     func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
		"too large":   func(path string) error { return os.WriteFile(path, []byte(strings.Repeat(" ", maxRecord+1)), 0o600) },
		"a link":      func(path string) error { return os.Symlink("/etc/passwd", path) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		dir := cache(t)
		if err := spoil(filepath.Join(dir, Dir, "host.json")); err != nil {
			t.Fatal(err)
		}
		if got, r := Look(dir, "host", Identity{}); got.State != api.Cold || r != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestNamesThatAreNoFiles(t *testing.T) {
	for _, name := range []string{"", "../x", "a/b", ".", "-x", strings.Repeat("a", 200)} {
		dir := cache(t)
		if err := Note(dir, Record{Prepared: api.Prepare{Environment: name}}); err == nil {
			t.Errorf("%q was noted", name)
		}
		if got, _ := Look(dir, name, Identity{}); got.State != api.Cold {
			t.Errorf("%q is %s", name, got.State)
		}
	}
}

func TestFindSeesWhatChanges(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "pyro")
	for _, name := range []string{"pyro", "pyro-runsc"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	first := Find("1", binary, "")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(binary, link); err != nil {
		t.Fatal(err)
	}
	if why := first.differs(Find("1", link, "")); why != "" {
		t.Errorf("by a link it is another: %s", why)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "pyro-runsc"), later, later); err != nil {
		t.Fatal(err)
	}
	if why := first.differs(Find("1", binary, "")); !strings.Contains(why, "programs of pyro") {
		t.Errorf("a new program goes unnoticed: %q", why)
	}
}
