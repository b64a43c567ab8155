package gvisor

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/internal/programs"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

func owner(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return sys.Owner(info)
}

// anAgent is a program to share, in a directory that is closed and has other files.
func anAgent(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "neighbour"), "private")
	agent := filepath.Join(dir, "agent-as-built")
	put(t, agent, "first build")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return agent
}

func share(t *testing.T, agent, base string) string {
	t.Helper()
	dir, err := shareAgent(agent, base)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheCacheIsPrivate(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "home", "pyro")
	if _, err := shareAgent(os.Args[0], filepath.Join(cache, "agent")); err != nil {
		t.Fatal(err)
	}
	want := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		want = 0o755
	}
	info, err := os.Stat(cache)
	if err != nil || info.Mode().Perm() != want {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestShareAgent(t *testing.T) {
	agent, base := anAgent(t), filepath.Join(t.TempDir(), "made", "here")
	dir := share(t, agent, base)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != agentName {
		t.Fatalf("shared are %v, %v", entries, err)
	}
	copied := filepath.Join(dir, agentName)
	if data, err := os.ReadFile(copied); err != nil || string(data) != "first build" {
		t.Errorf("it reads %q, %v", data, err)
	}
	for _, path := range []string{dir, copied} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if left, err := os.ReadDir(base); err != nil || len(left) != 1 {
		t.Errorf("in the base are %v, %v", left, err)
	}
}

func TestShareAgentWithANarrowUmask(t *testing.T) {
	old := sys.Umask(0o077)
	defer sys.Umask(old)
	dir := share(t, anAgent(t), t.TempDir())
	for _, path := range []string{dir, filepath.Join(dir, agentName)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestShareAgentCopiesOnce(t *testing.T) {
	agent, base := anAgent(t), t.TempDir()
	dir := share(t, agent, base)
	before, err := os.Stat(filepath.Join(dir, agentName))
	if err != nil {
		t.Fatal(err)
	}
	if again := share(t, agent, base); again != dir {
		t.Errorf("%s, then %s", dir, again)
	}
	after, err := os.Stat(filepath.Join(dir, agentName))
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("it was copied again: %v", err)
	}
}

func TestShareAgentOfAnotherBuild(t *testing.T) {
	for name, build := range map[string]func(t *testing.T, agent string){
		"longer": func(t *testing.T, agent string) { put(t, agent, "second, longer build") },
		"later":  func(t *testing.T, agent string) { rebuild(t, agent) },
		"renamed into place": func(t *testing.T, agent string) {
			info, err := os.Stat(agent)
			if err != nil {
				t.Fatal(err)
			}
			put(t, agent+".new", "other build")
			if err := os.Chtimes(agent+".new", time.Time{}, info.ModTime()); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(agent+".new", agent); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			agent, base := anAgent(t), t.TempDir()
			first := share(t, agent, base)
			build(t, agent)
			second := share(t, agent, base)
			want, err := os.ReadFile(agent)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(second, agentName))
			if err != nil || !bytes.Equal(got, want) || second == first {
				t.Errorf("%s has %q, %v; want %q", second, got, err, want)
			}
			if old, err := os.ReadFile(filepath.Join(first, agentName)); err != nil || string(old) != "first build" {
				t.Errorf("the copy that others may use is now %q, %v", old, err)
			}
		})
	}
}

// rebuild writes as many bytes as were there, an hour later.
func rebuild(t *testing.T, agent string) {
	t.Helper()
	info, err := os.Stat(agent)
	if err != nil {
		t.Fatal(err)
	}
	put(t, agent, strings.Repeat("x", int(info.Size())))
	if err := os.Chtimes(agent, time.Time{}, info.ModTime().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
}

func TestShareAgentRefusesWhatWasPlanted(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T, copied string){
		"writable for the group": func(t *testing.T, copied string) { chmod(t, copied, 0o775) },
		"writable for all":       func(t *testing.T, copied string) { chmod(t, copied, 0o757) },
		"another size":           func(t *testing.T, copied string) { put(t, copied, "another program altogether") },
		"cut short":              func(t *testing.T, copied string) { put(t, copied, "") },
		"a symbolic link": func(t *testing.T, copied string) {
			put(t, copied+".target", "first build")
			replaceBy(t, copied, func() error { return os.Symlink(agentName+".target", copied) })
		},
		"a directory": func(t *testing.T, copied string) {
			replaceBy(t, copied, func() error { return os.Mkdir(copied, 0o755) })
		},
		"of another owner": func(t *testing.T, copied string) {
			requireRoot(t)
			if err := os.Chown(copied, 1234567, 0); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			agent, base := anAgent(t), t.TempDir()
			copied := filepath.Join(share(t, agent, base), agentName)
			plant(t, copied)
			if _, err := shareAgent(agent, base); err == nil || !strings.Contains(err.Error(), copied) {
				t.Errorf("got %v, want an error that names %s", err, copied)
			}
		})
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func replaceBy(t *testing.T, path string, by func() error) {
	t.Helper()
	if err := errors.Join(os.Remove(path), by()); err != nil {
		t.Fatal(err)
	}
}

func TestShareAgentAtTheSameTime(t *testing.T) {
	agent, base := anAgent(t), t.TempDir()
	const many = 16
	var all sync.WaitGroup
	dirs, errs := make([]string, many), make([]error, many)
	start := make(chan struct{})
	for i := range many {
		all.Go(func() { // ends with the call
			<-start
			dirs[i], errs[i] = shareAgent(agent, base)
		})
	}
	close(start)
	all.Wait()
	for i := range many {
		if errs[i] != nil || dirs[i] != dirs[0] {
			t.Errorf("%s, %v; another got %s", dirs[i], errs[i], dirs[0])
		}
	}
	if left, err := os.ReadDir(base); err != nil || len(left) != 1 {
		t.Errorf("in the base are %v, %v", left, err)
	}
	if err := programs.Check(filepath.Join(dirs[0], agentName), int64(len("first build"))); err != nil {
		t.Error(err)
	}
}

func TestShareAgentWithoutOne(t *testing.T) {
	base := t.TempDir()
	if _, err := shareAgent(filepath.Join(base, "none"), base); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
