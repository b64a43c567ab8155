package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

func TestPath(t *testing.T) {
	for name, test := range map[string]struct{ xdg, home, want string }{
		"XDG":          {"/x", "/h", "/x/pyro/config.toml"},
		"home":         {"", "/h", "/h/.config/pyro/config.toml"},
		"relative XDG": {"x", "/h", "/h/.config/pyro/config.toml"},
		"nothing":      {"", "", ""},
		"relative":     {"x", "h", ""},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"XDG_CONFIG_HOME": test.xdg, "HOME": test.home}
			if got := Path(func(name string) string { return env[name] }); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestUnsafeFiles(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(path string) error
		want  string
		hint  string
	}{
		"group may write": {func(p string) error { return os.Chmod(p, 0o620) }, "another user could have written it: mode 0620", "chmod go-w"},
		"everybody may":   {func(p string) error { return os.Chmod(p, 0o602) }, "another user could have written it: mode 0602", "chmod go-w"},
		"a directory":     {func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, "it is no regular file", "correct it"},
		"a pipe":          {func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) }, "it is no regular file", "correct it"},
		"a file in its way": {func(p string) error {
			return errors.Join(os.RemoveAll(filepath.Dir(p)), os.WriteFile(filepath.Dir(p), nil, 0o600))
		}, "not a directory", "correct it"},
		"a link to a device": {func(p string) error { return errors.Join(os.Remove(p), os.Symlink("/dev/zero", p)) }, "it is no regular file", "correct it"},
		"too big":            {func(p string) error { return os.Truncate(p, maxFile+1) }, "more than 65536 bytes", "correct it"},
	} {
		t.Run(name, func(t *testing.T) {
			getenv := home(t, "capacity = 5")
			if err := test.spoil(Path(getenv)); err != nil {
				t.Fatal(err)
			}
			_, err := Load(getenv)
			if !errors.Is(err, api.Invalid) || !strings.Contains(err.Error(), Path(getenv)+": "+test.want) || !strings.Contains(api.HintOf(err), test.hint) {
				t.Errorf("got %v with hint %q", err, api.HintOf(err))
			}
			if strings.Count(err.Error(), Path(getenv)) > 1 {
				t.Errorf("the path is said twice: %v", err)
			}
		})
	}
}

// owned is a file of somebody; the rest of it does not matter.
type owned struct {
	os.FileInfo
	uid uint32
}

func (o owned) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

func TestOwners(t *testing.T) {
	getenv := home(t, "capacity = 5")
	info, err := os.Stat(Path(getenv))
	if err != nil {
		t.Fatal(err)
	}
	me := uint32(os.Geteuid())
	if err := trusted(owned{info, 0}); err != nil {
		t.Errorf("root's: %v", err)
	}
	if err := trusted(owned{info, me}); err != nil {
		t.Errorf("mine: %v", err)
	}
	if err := trusted(owned{info, me + 1}); !errors.Is(err, errUnsafe) {
		t.Errorf("another user's: %v", err)
	}
}

func TestALinkIsFollowed(t *testing.T) {
	getenv := home(t, "")
	other := filepath.Join(t.TempDir(), "elsewhere.toml")
	write(t, other, "capacity = 9")
	if err := errors.Join(os.MkdirAll(filepath.Dir(Path(getenv)), 0o700), os.Symlink(other, Path(getenv))); err != nil {
		t.Fatal(err)
	}
	c, err := Load(getenv)
	if err != nil || c.Policy().Capacity != 9 {
		t.Errorf("%+v, %v", c.Policy(), err)
	}
}

func TestInit(t *testing.T) {
	getenv := home(t, "")
	path, err := Init(getenv)
	if err != nil || path != Path(getenv) {
		t.Fatalf("%q, %v", path, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	write(t, path, "capacity = 3")
	if _, err := Init(getenv); !errors.Is(err, api.Exists) || api.HintOf(err) == "" {
		t.Errorf("a second time: %v", err)
	}
	if c, err := Load(getenv); err != nil || c.Policy().Capacity != 3 {
		t.Errorf("the file was changed: %+v, %v", c.Policy(), err)
	}
	if _, err := Init(func(string) string { return "" }); !errors.Is(err, api.Invalid) {
		t.Errorf("without a home: %v", err)
	}
}
