package store

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
)

func TestFindDirs(t *testing.T) {
	private, open := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Chmod(private, 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	self := os.Geteuid()
	for name, c := range map[string]struct {
		env  map[string]string
		uid  int
		want Dirs // with hash8 of State to be put in for HASH
	}{
		"home": {
			env: map[string]string{"HOME": "/h"}, uid: 1500,
			want: Dirs{State: "/h/.local/state/pyro", Cache: "/h/.cache/pyro", Run: "/tmp/pyro-1500/HASH"},
		},
		"xdg": {
			env: map[string]string{"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"}, uid: 1500,
			want: Dirs{State: "/s/pyro", Cache: "/c/pyro", Run: "/tmp/pyro-1500/HASH"},
		},
		"relative xdg is ignored": {
			env: map[string]string{"HOME": "/h", "XDG_STATE_HOME": "s", "XDG_CACHE_HOME": "c", "XDG_RUNTIME_DIR": "r"}, uid: 1500,
			want: Dirs{State: "/h/.local/state/pyro", Cache: "/h/.cache/pyro", Run: "/tmp/pyro-1500/HASH"},
		},
		"own variables need no home": {
			env: map[string]string{"PYRO_STATE_DIR": "/s/./x/", "PYRO_CACHE_DIR": "/c", "PYRO_RUN_DIR": "/r", "XDG_STATE_HOME": "/no"}, uid: 1500,
			want: Dirs{State: "/s/x", Cache: "/c", Run: "/r/HASH"},
		},
		"older cache variable": {
			env: map[string]string{"PYRO_STATE_DIR": "/s", "PYRO_ENVIRONMENT_CACHE_DIR": "/c"}, uid: 1500,
			want: Dirs{State: "/s", Cache: "/c", Run: "/tmp/pyro-1500/HASH"},
		},
		"root": {
			env:  map[string]string{"HOME": "/root", "XDG_RUNTIME_DIR": private},
			want: Dirs{State: "/root/.local/state/pyro", Cache: "/root/.cache/pyro", Run: "/run/pyro/HASH", Sandbox: "/var/lib/pyro/sandbox/HASH", UIDs: "/var/lib/pyro/uid"},
		},
		"root with another sandbox directory": {
			env:  map[string]string{"HOME": "/root", "PYRO_SANDBOX_DIR": "/x"},
			want: Dirs{State: "/root/.local/state/pyro", Cache: "/root/.cache/pyro", Run: "/run/pyro/HASH", Sandbox: "/x/HASH", UIDs: "/var/lib/pyro/uid"},
		},
		"runtime directory that others may write": {
			env: map[string]string{"HOME": "/h", "XDG_RUNTIME_DIR": open}, uid: self + 1500,
			want: Dirs{State: "/h/.local/state/pyro", Cache: "/h/.cache/pyro", Run: "/tmp/pyro-SELF/HASH"},
		},
		"runtime directory of another user": {
			env: map[string]string{"HOME": "/h", "XDG_RUNTIME_DIR": private}, uid: self + 1500,
			want: Dirs{State: "/h/.local/state/pyro", Cache: "/h/.cache/pyro", Run: "/tmp/pyro-SELF/HASH"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FindDirs(func(name string) string { return c.env[name] }, c.uid)
			if err != nil {
				t.Fatal(err)
			}
			fill := strings.NewReplacer("HASH", hash8(c.want.State), "pyro-SELF", "pyro-"+strconv.Itoa(c.uid))
			c.want.Run, c.want.Sandbox = fill.Replace(c.want.Run), fill.Replace(c.want.Sandbox)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestRuntimeDirectoryOfTheUser(t *testing.T) {
	dir := t.TempDir()
	requireOwner := os.Chown(dir, 1500, -1)
	if os.Geteuid() != 0 {
		requireRoot(t)
	} else if requireOwner != nil {
		t.Fatal(requireOwner)
	}
	env := map[string]string{"HOME": "/h", "XDG_RUNTIME_DIR": dir}
	got, err := FindDirs(func(name string) string { return env[name] }, 1500)
	if want := filepath.Join(dir, "pyro", hash8("/h/.local/state/pyro")); err != nil || got.Run != want {
		t.Fatalf("Run = %q, %v, want %q", got.Run, err, want)
	}
}

func TestFindDirsWithoutHome(t *testing.T) {
	_, err := FindDirs(func(string) string { return "" }, 1500)
	if !errors.Is(err, api.Invalid) || !strings.Contains(api.HintOf(err), "HOME") {
		t.Fatalf("FindDirs = %v, hint %q", err, api.HintOf(err))
	}
}

func TestHash8(t *testing.T) {
	// The first digits of `printf /s/x | sha256sum`.
	if got, want := hash8("/s//y/../x/"), "2ed06abc"; got != want {
		t.Fatalf("hash8 = %q, want %q", got, want)
	}
}

func TestOpenMakesDirectories(t *testing.T) {
	base := shortTemp(t)
	dirs := testDirs(filepath.Join(base, "deep", "er"))
	s := openStore(t, dirs)
	openStore(t, dirs) // a second time
	passable := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		passable = 0o711
	}
	for path, want := range map[string]os.FileMode{
		filepath.Join(base, "deep"):       0o711,
		dirs.State:                        0o700,
		s.workspaces():                    0o700,
		filepath.Dir(dirs.Run):            passable,
		dirs.Run:                          passable,
		filepath.Dir(dirs.Sandbox):        0o711,
		dirs.Sandbox:                      0o711,
		dirs.UIDs:                         0o700,
		filepath.Join(base, "deep", "er"): 0o711,
	} {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

func TestOpenNarrowsWhatOthersMayRead(t *testing.T) {
	dirs := testDirs(shortTemp(t))
	if err := errors.Join(os.Mkdir(dirs.State, 0o755), os.Chmod(dirs.State, 0o755)); err != nil {
		t.Fatal(err)
	}
	openStore(t, dirs)
	if info, err := os.Stat(dirs.State); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("mode %v, %v, want 0700", info.Mode(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	link := func(path string) error { return os.Symlink(os.TempDir(), path) }
	plain := func(path string) error { return os.WriteFile(path, nil, 0o600) }
	mode := func(perm os.FileMode) func(string) error {
		return func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, perm)) }
	}
	stranger := func(path string) error {
		return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, 1500, 1500))
	}
	for name, c := range map[string]struct {
		plant func(path string) error
		root  bool
	}{
		"symbolic link":       {plant: link},
		"file":                {plant: plain},
		"writable for group":  {plant: mode(0o720)},
		"writable for others": {plant: mode(0o702)},
		"sticky and open":     {plant: mode(0o777 | os.ModeSticky)},
		"of another user":     {plant: stranger, root: true},
	} {
		for which, of := range map[string]func(Dirs) string{
			"state":       func(d Dirs) string { return d.State },
			"run":         func(d Dirs) string { return filepath.Dir(d.Run) },
			"uids":        func(d Dirs) string { return d.UIDs },
			"all sandbox": func(d Dirs) string { return filepath.Dir(d.Sandbox) },
		} {
			t.Run(name+"/"+which, func(t *testing.T) {
				if c.root {
					requireRoot(t)
				}
				dirs := testDirs(shortTemp(t))
				path := of(dirs)
				if err := c.plant(path); err != nil {
					t.Fatal(err)
				}
				_, err := Open(dirs)
				if !errors.Is(err, api.Denied) || api.HintOf(err) == "" {
					t.Fatalf("Open = %v, want Denied with a hint", err)
				}
				if want := "unsafe owner or mode on " + path; !strings.Contains(err.Error(), want) {
					t.Fatalf("Open = %v, want it to say %q", err, want)
				}
			})
		}
	}
}

func TestOpenRefusesLongRunDirectory(t *testing.T) {
	dirs := testDirs(shortTemp(t))
	const rest = len("/000000000000/control.sock")
	for length, want := range map[int]error{maxSocketPath - rest: nil, maxSocketPath - rest + 1: api.Invalid} {
		pad := length - len(filepath.Dir(dirs.Run)) - 1
		long := dirs
		long.Run = filepath.Join(filepath.Dir(dirs.Run), strings.Repeat("r", pad))
		_, err := Open(long)
		if !errors.Is(err, want) || want != nil && !strings.Contains(api.HintOf(err), "PYRO_RUN_DIR") {
			t.Errorf("%d bytes: %v, hint %q, want %v", length, err, api.HintOf(err), want)
		}
	}
}

func TestSandboxDir(t *testing.T) {
	s := newStore(t)
	if got, want := s.SandboxDir(testID), filepath.Join(s.dirs.Sandbox, testID); got != want {
		t.Errorf("of root: %q, want %q", got, want)
	}
	s.dirs.Sandbox = ""
	if got, want := s.SandboxDir(testID), filepath.Join(s.dirs.State, "workspaces", testID, "disk"); got != want {
		t.Errorf("of others: %q, want %q", got, want)
	}
}
