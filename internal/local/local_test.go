package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// alone points everything that is looked up in the environment at empty
// directories, and returns that for the helpers.
func alone(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pl") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	lib := filepath.Join(dir, "lib")
	if err := os.Mkdir(lib, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"PYRO_STATE_DIR": filepath.Join(dir, "s"), "PYRO_CACHE_DIR": filepath.Join(dir, "c"), "PYRO_RUN_DIR": filepath.Join(dir, "r"),
		"PYRO_SANDBOX_DIR": filepath.Join(dir, "x"), "PYRO_LIBDIR": lib, "PYRO_RUNSC": "",
		"XDG_CONFIG_HOME": filepath.Join(dir, "config"),
	} {
		t.Setenv(name, value)
	}
	return lib
}

func program755(t *testing.T, path, script string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHelper(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.Dir(self)
	t.Run("in the library directory", func(t *testing.T) {
		want := program755(t, filepath.Join(alone(t), "pyro-agent"), "")
		if got, err := (finder{}).program(t.Context(), "pyro-agent"); got != want || err != nil {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	})
	t.Run("beside this program first", func(t *testing.T) {
		program755(t, filepath.Join(alone(t), "pyro-agent"), "")
		want := program755(t, filepath.Join(beside, "pyro-agent"), "")
		t.Cleanup(func() { _ = os.Remove(want) })
		if got, err := (finder{}).program(t.Context(), "pyro-agent"); got != want || err != nil {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	})
	t.Run("never in PATH", func(t *testing.T) {
		alone(t)
		dir := t.TempDir()
		program755(t, filepath.Join(dir, "pyro-agent"), "")
		t.Setenv("PATH", dir)
		if got, err := (finder{}).program(t.Context(), "pyro-agent"); err == nil {
			t.Errorf("found %s", got)
		}
	})
	t.Run("where everybody may write", func(t *testing.T) {
		lib := alone(t)
		program755(t, filepath.Join(lib, "pyro-agent"), "")
		for _, open := range []string{filepath.Join(lib, "pyro-agent"), lib} {
			chmod(t, open, 0o757)
			_, err := (finder{}).program(t.Context(), "pyro-agent")
			if !errors.Is(err, api.Denied) || api.HintOf(err) == "" {
				t.Errorf("%s: got %v", open, err)
			}
			chmod(t, open, 0o755)
		}
	})
	t.Run("nowhere", func(t *testing.T) {
		lib := alone(t)
		_, err := (finder{}).program(t.Context(), "pyro-agent")
		want := "pyro-agent is not in " + beside + " or " + lib
		if !errors.Is(err, api.Unsupported) || err.Error() != want || !strings.Contains(api.HintOf(err), "PYRO_LIBDIR") {
			t.Errorf("%v with hint %q, want %s", err, api.HintOf(err), want)
		}
	})
	t.Run("nowhere, without a library directory", func(t *testing.T) {
		alone(t)
		t.Setenv("PYRO_LIBDIR", "")
		if _, err := (finder{}).program(t.Context(), "pyro-agent"); err == nil || err.Error() != "pyro-agent is not in "+beside {
			t.Errorf("got %v", err)
		}
	})
}

func TestHelperByVariable(t *testing.T) {
	lib := alone(t)
	agent := program755(t, filepath.Join(lib, "pyro-agent"), "")
	program755(t, filepath.Join(lib, "pyro-runsc"), "")
	other := program755(t, filepath.Join(t.TempDir(), "my-runsc"), "")
	t.Setenv("PYRO_RUNSC", other)
	if got, err := (finder{}).program(t.Context(), "pyro-runsc"); got != other || err != nil {
		t.Errorf("pyro-runsc: %s, %v; want %s", got, err, other)
	}
	if got, err := (finder{}).program(t.Context(), "pyro-agent"); got != agent || err != nil {
		t.Errorf("pyro-agent: %s, %v; want %s", got, err, agent)
	}
	t.Setenv("PYRO_RUNSC", other+"-none")
	if got, err := (finder{}).program(t.Context(), "pyro-runsc"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s, %v: another one was taken than was asked for", got, err)
	}
}

func TestExecutable(t *testing.T) {
	dir := t.TempDir()
	good := program755(t, filepath.Join(dir, "good"), "")
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	if err := errors.Join(os.Symlink("good", link), syscall.Mkfifo(fifo, 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for name, test := range map[string]struct{ path, want, says string }{
		"a program":       {good, good, ""},
		"a link to one":   {link, link, ""},
		"a relative path": {"good", good, ""},
		"no program":      {plain, "", "is not executable"},
		"a directory":     {dir, "", "is not executable"},
		"a pipe":          {fifo, "", "is not executable"},
		"nothing":         {good + "x", "", "no such file"},
		"below a file":    {good + "/x", "", "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := executable(test.path)
			if got != test.want || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q, %v; want %q, %q", got, err, test.want, test.says)
			}
		})
	}
}

func TestConfigureChecksTheID(t *testing.T) {
	lib := alone(t)
	for _, name := range []string{"pyro-agent", "pyro-runsc"} {
		program755(t, filepath.Join(lib, name), "")
	}
	if _, err := configure(t.Context(), "../../etc"); !errors.Is(err, api.Invalid) {
		t.Errorf("got %v", err)
	}
	cfg, err := configure(t.Context(), "0123456789ab")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.ID != "0123456789ab" || cfg.Agent != filepath.Join(lib, "pyro-agent") || len(cfg.Engines) == 0 || cfg.Policy.Capacity <= 0 || cfg.Now == nil {
		t.Errorf("%+v", cfg)
	}
}

func TestSuperviseIsNotForPeople(t *testing.T) {
	for _, args := range [][]string{nil, {"a", "b"}} {
		if err := Supervise(t.Context(), args); err == nil || !strings.Contains(err.Error(), "usage") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestInherited(t *testing.T) {
	ours, theirs, err := sys.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ours.Close() }()
	fd, err := syscall.Dup(int(theirs.Fd())) // inherited closes what it is given
	if err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	conn, err := inherited(uintptr(fd))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if n, err := ours.Read(buf); err == nil {
		t.Errorf("a copy of it is still open: read %d bytes", n)
	}
}

func TestInheritedIsNoSocket(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(f.Fd()))
	_ = f.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inherited(uintptr(fd)); err == nil {
		t.Error("no error")
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
