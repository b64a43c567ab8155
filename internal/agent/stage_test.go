package agent

import (
	"archive/tar"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/testgate"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

func TestPushWithoutSpace(t *testing.T) {
	dir := t.TempDir()
	err := unix.Mount("pyro", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=4m")
	testgate.Require(t, testgate.Root, err)
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	cfg := Config{Workspace: filepath.Join(dir, "workspace"), RunDir: t.TempDir()}
	for name, start := range map[string]func(testing.TB, Config) *wire.Client{"socket": serve, "mux": serveMux} {
		t.Run(name, func(t *testing.T) {
			c := start(t, cfg)
			tree(t, cfg.Workspace, map[string]string{"d/f": "f"})
			before := seen(t, cfg.Workspace)
			_, err := push(t, c, "/workspace", tar.Header{Name: "d/f", Size: 1 << 20}, tar.Header{Name: "g", Size: 16 << 20})
			if !errors.Is(err, api.Unavailable) || !strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
				t.Errorf("error %v of kind %q", err, api.KindOf(err))
			}
			if diff := cmp.Diff(before, seen(t, cfg.Workspace)); diff != "" {
				t.Errorf("the workspace changed (-before +after):\n%s", diff)
			}
			noStage(t, cfg)
			if _, err := push(t, c, "/workspace", tar.Header{Name: "d/f", Size: 1 << 20, Mode: 0o600}); err != nil {
				t.Errorf("a tree that fits: %v", err)
			}
			if err := os.RemoveAll(filepath.Join(cfg.Workspace, "d")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStagingOnAnotherFileSystem(t *testing.T) {
	cfg := testConfig(t)
	err := unix.Mount("pyro", cfg.Workspace, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=4m")
	testgate.Require(t, testgate.Root, err)
	t.Cleanup(func() {
		if err := unix.Unmount(cfg.Workspace, 0); err != nil {
			t.Error(err)
		}
	})
	_, err = push(t, serve(t, cfg), "a/b", tar.Header{Name: "f"})
	if !errors.Is(err, api.Unsupported) || !strings.Contains(err.Error(), "file system") {
		t.Errorf("error %v of kind %q", err, api.KindOf(err))
	}
	noStage(t, cfg)
}

func TestLeftoversOfAKilledAgent(t *testing.T) {
	cfg := testConfig(t)
	old := filepath.Join(filepath.Dir(cfg.Workspace), stagingName+"workspace")
	tree(t, old, map[string]string{"1-2-3/d/f": "f", "1-2-3/l": "-> /", "1-2-4/": "", "file": ""})
	if err := os.Chmod(filepath.Join(old, "1-2-3/d"), 0o500); err != nil {
		t.Fatal(err)
	}
	a := newAgent(cfg)
	mine, err := a.newStage()
	if err != nil {
		t.Fatal(err)
	}
	a.sweepStages()
	names, err := os.ReadDir(old)
	if err != nil || len(names) != 1 || names[0].Name() != filepath.Base(mine.path) {
		t.Errorf("left are %v, %v", names, err)
	}
	a.removeStage(mine)
	noStage(t, cfg)

	tree(t, old, map[string]string{"1-2-3/d/f": "f"})
	serve(t, cfg)
	if !eventually(func() bool { _, err := os.Lstat(old); return errors.Is(err, fs.ErrNotExist) }) {
		t.Error("an agent that starts leaves them")
	}
}

// A link in place of the directory for staging leads nobody anywhere.
func TestSweepFollowsNoLink(t *testing.T) {
	cfg := testConfig(t)
	dir := outside(t)
	cfg.Staging = filepath.Join(t.TempDir(), "staging")
	if err := os.Symlink(dir, cfg.Staging); err != nil {
		t.Fatal(err)
	}
	newAgent(cfg).sweepStages()
	if _, err := push(t, serve(t, cfg), "/workspace", tar.Header{Name: "f"}); !errors.Is(err, api.Exists) {
		t.Errorf("pushed by way of the link: %v", err)
	}
}
