package gvisor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// unified is a tree of version 2 in a directory that keeps the rules of the kernel's
// which matter here, and the order of what was done.
type unified struct {
	t    *testing.T
	root string
	did  []string
	// before is called with each change; an error of it is the kernel's.
	before func(what string) error
}

var _ cgroupTree = (*unified)(nil)

// newUnified makes a tree of which the root offers and has turned on controllers, as
// systemd leaves it.
func newUnified(t *testing.T, offered, on string) *unified {
	u := &unified{t: t, root: t.TempDir()}
	u.fill(u.root, offered, false)
	put(t, filepath.Join(u.root, subtreeFile), on+"\n")
	return u
}

// fill makes the files that the kernel makes.
func (u *unified) fill(dir, controllers string, child bool) {
	put(u.t, filepath.Join(dir, controllersFile), controllers+"\n")
	put(u.t, filepath.Join(dir, subtreeFile), "\n")
	put(u.t, filepath.Join(dir, procsFile), "")
	if !child {
		return
	}
	put(u.t, filepath.Join(dir, "cgroup.type"), "domain\n")
	files := map[string][]string{
		"cpu": {"cpu.max"}, "pids": {"pids.max"},
		"memory": {"memory.max", "memory.swap.max", "memory.oom.group", "memory.events"},
	}
	for _, c := range strings.Fields(controllers) {
		for _, f := range files[c] {
			put(u.t, filepath.Join(dir, f), "")
		}
	}
}

// child makes a cgroup that is there already, with these processes in it.
func (u *unified) child(path, controllers, on, procs string) string {
	dir := filepath.Join(u.root, path)
	u.fill(dir, controllers, true)
	put(u.t, filepath.Join(dir, subtreeFile), on+"\n")
	put(u.t, filepath.Join(dir, procsFile), procs)
	return dir
}

func (u *unified) note(what string) error {
	if u.before != nil {
		if err := u.before(what); err != nil {
			return err
		}
	}
	u.did = append(u.did, what)
	return nil
}

func (u *unified) rel(path string) string { return strings.TrimPrefix(path, u.root+"/") }

// Mkdir implements cgroupTree.
func (u *unified) Mkdir(path string) error {
	if exists(path) {
		return nil
	}
	if err := u.note("mkdir " + u.rel(path)); err != nil {
		return err
	}
	on, err := words(filepath.Join(filepath.Dir(path), subtreeFile))
	if err != nil {
		return err
	}
	u.fill(path, strings.Join(on, " "), true)
	return nil
}

// Write implements cgroupTree.
func (u *unified) Write(path, value string) error {
	if !exists(path) {
		return &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if err := u.note(u.rel(path) + " = " + value); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	switch filepath.Base(path) {
	case procsFile:
		return u.move(value, path)
	case subtreeFile:
		return u.turnOn(dir, value)
	}
	return os.WriteFile(path, []byte(value), 0)
}

// move takes a process out of wherever it is.
func (u *unified) move(pid, to string) error {
	err := filepath.WalkDir(u.root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != procsFile {
			return err
		}
		in, err := words(path)
		if err != nil {
			return err
		}
		in = slices.DeleteFunc(in, func(p string) bool { return p == pid })
		if path == to {
			in = append(in, pid)
		}
		return os.WriteFile(path, []byte(strings.Join(in, "\n")), 0)
	})
	return err
}

func (u *unified) turnOn(dir, value string) error {
	if procs, _ := words(filepath.Join(dir, procsFile)); dir != u.root && len(procs) > 0 {
		return syscall.EBUSY // no internal processes
	}
	on, _ := words(filepath.Join(dir, subtreeFile))
	offered, _ := words(filepath.Join(dir, controllersFile))
	for _, c := range strings.Fields(strings.ReplaceAll(value, "+", "")) {
		if !slices.Contains(offered, c) {
			return fs.ErrNotExist
		}
		if !slices.Contains(on, c) {
			on = append(on, c)
		}
	}
	return os.WriteFile(filepath.Join(dir, subtreeFile), []byte(strings.Join(on, " ")), 0)
}

// over is a limiter for a base of the tree.
func (u *unified) over(dir string, movable ...int) limiterV2 {
	return limiterV2{tree: u, base: base{
		dir: filepath.Join(u.root, dir), hint: "do this", movable: movable,
		strays: func() ([]int, error) { return nil, errors.New("strangers came") },
	}}
}

var specV2 = engine.Spec{ID: "0123456789ab", VCPUs: 2, MemMiB: 256, PIDs: 10, UID: 1234567}

// sandboxSteps are those for one sandbox below a base that is ready.
func sandboxSteps(base string) []string {
	g := strings.TrimPrefix(base+"/pyro/0123456789ab/", "/")
	return []string{
		"mkdir " + strings.TrimSuffix(g, "/"),
		g + "memory.max = 268435456", g + "memory.swap.max = 0", g + "memory.oom.group = 1", g + "pids.max = 542",
	}
}

func TestLimiterV2(t *testing.T) {
	const all = "cpu memory pids"
	for name, test := range map[string]struct {
		tree func(*testing.T) (*unified, limiterV2)
		want []string
	}{
		"root of a machine where nothing is on": {func(t *testing.T) (*unified, limiterV2) {
			u := newUnified(t, "cpuset cpu io memory pids", "")
			return u, u.over("")
		}, append([]string{"cgroup.subtree_control = +cpu +memory +pids", "mkdir pyro", "pyro/cgroup.subtree_control = +cpu +memory +pids"}, sandboxSteps("")...)},
		"root of a machine with systemd": {func(t *testing.T) (*unified, limiterV2) {
			u := newUnified(t, "cpuset cpu io memory pids", "memory pids")
			return u, u.over("")
		}, append([]string{"cgroup.subtree_control = +cpu", "mkdir pyro", "pyro/cgroup.subtree_control = +cpu +memory +pids"}, sandboxSteps("")...)},
		"second sandbox": {func(t *testing.T) (*unified, limiterV2) {
			u := newUnified(t, all, all)
			u.child("pyro", all, all, "")
			return u, u.over("")
		}, sandboxSteps("")},
		"delegated and empty": {func(t *testing.T) (*unified, limiterV2) {
			u := newUnified(t, all, all)
			u.child("ci", all, "", "")
			return u, u.over("ci")
		}, append([]string{"ci/cgroup.subtree_control = +cpu +memory +pids", "mkdir ci/pyro", "ci/pyro/cgroup.subtree_control = +cpu +memory +pids"}, sandboxSteps("ci")...)},
		"a scope with nobody but us": {func(t *testing.T) (*unified, limiterV2) {
			u := newUnified(t, all, all)
			u.child("run.scope", all, "", "70\n71\n")
			return u, u.over("run.scope", 70, 71)
		}, append([]string{
			"mkdir run.scope/pyro-host", "run.scope/pyro-host/cgroup.procs = 70", "run.scope/pyro-host/cgroup.procs = 71",
			"run.scope/cgroup.subtree_control = +cpu +memory +pids", "mkdir run.scope/pyro", "run.scope/pyro/cgroup.subtree_control = +cpu +memory +pids",
		}, sandboxSteps("run.scope")...)},
	} {
		t.Run(name, func(t *testing.T) {
			u, l := test.tree(t)
			var ledger enginetest.Ledger
			g, err := l.Make(specV2, &ledger)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, u.did); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			group := filepath.Join(l.base.dir, "pyro/0123456789ab")
			want := cgroup{
				born: group, events: filepath.Join(group, "memory.events"), limits: api.Limits{Enforced: true},
				late: []setting{{filepath.Join(group, "cpu.max"), "40000 20000"}, {filepath.Join(group, "memory.max"), "409993216"}},
			}
			if diff := cmp.Diff(want, g, cmp.AllowUnexported(cgroup{}, setting{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]store.Resource{{Kind: store.KindCgroup, Path: group}}, ledger.Entries()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			if err := g.settle(); err != nil {
				t.Error(err)
			}
			if got, err := words(filepath.Join(group, "memory.max")); err != nil || !slices.Equal(got, []string{"409993216"}) {
				t.Errorf("settled memory is %q, %v", got, err)
			}
		})
	}
}

func TestLimiterV2GivesNothingToTheSandbox(t *testing.T) {
	requireRoot(t)
	u := newUnified(t, "cpu memory pids", "")
	if _, err := u.over("").Make(specV2, &enginetest.Ledger{}); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(u.root, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && owner(t, path) != 0 {
			t.Errorf("%s belongs to %d", path, owner(t, path))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestLimiterV2WithoutTheNewerFiles(t *testing.T) {
	u := newUnified(t, "cpu memory pids", "")
	u.before = func(what string) error {
		if strings.HasSuffix(what, "memory.max = 268435456") { // the group is there
			group := filepath.Join(u.root, "pyro/0123456789ab")
			return errors.Join(os.Remove(filepath.Join(group, "memory.swap.max")), os.Remove(filepath.Join(group, "memory.oom.group")))
		}
		return nil
	}
	g, err := u.over("").Make(specV2, &enginetest.Ledger{})
	if err != nil || !g.limits.Enforced {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestLimiterV2Interrupted(t *testing.T) {
	full := errors.New("disk full")
	t.Run("makes nothing that is not entered", func(t *testing.T) {
		u := newUnified(t, "cpu memory pids", "cpu memory pids")
		if _, err := u.over("").Make(specV2, refusing{full}); !errors.Is(err, full) || len(u.did) > 0 {
			t.Errorf("%v, did %q", err, u.did)
		}
	})
	t.Run("the parent is removed between two steps", func(t *testing.T) {
		u := newUnified(t, "cpu memory pids", "cpu memory pids")
		removed := 0
		u.before = func(what string) error {
			if what == "mkdir pyro/0123456789ab" && removed < 3 {
				removed++
				_ = os.RemoveAll(filepath.Join(u.root, "pyro"))
				return fs.ErrNotExist
			}
			return nil
		}
		if g, err := u.over("").Make(specV2, &enginetest.Ledger{}); err != nil || !g.limits.Enforced || removed != 3 {
			t.Errorf("%+v, %v after %d", g, err, removed)
		}
	})
	t.Run("a limit is refused", func(t *testing.T) {
		u := newUnified(t, "cpu memory pids", "")
		u.before = func(what string) error {
			if strings.Contains(what, "pids.max") {
				return syscall.EINVAL
			}
			return nil
		}
		if _, err := u.over("").Make(specV2, &enginetest.Ledger{}); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("got %v", err)
		}
	})
}

func TestLimiterV2SaysWhyItsBaseIsNone(t *testing.T) {
	busy := func(t *testing.T) (*unified, limiterV2) {
		u := newUnified(t, "cpu memory pids", "cpu memory pids")
		u.child("a", "cpu memory pids", "", "70\n")
		return u, u.over("a", 70)
	}
	t.Run("strangers come", func(t *testing.T) {
		u, l := busy(t)
		u.before = func(what string) error {
			if strings.HasPrefix(what, "a/cgroup.subtree_control") {
				return syscall.EBUSY
			}
			return nil
		}
		wantUnlimited(t, l, "strangers came; do this")
	})
	t.Run("one of ours has come and is moved, too", func(t *testing.T) {
		u, l := busy(t)
		l.base.strays = func() ([]int, error) { return []int{71}, nil }
		u.before = func(what string) error {
			if what == "a/pyro-host/cgroup.procs = 70" {
				return os.WriteFile(filepath.Join(u.root, "a", procsFile), []byte("70\n71\n"), 0)
			}
			return nil
		}
		if g, err := l.Make(specV2, &enginetest.Ledger{}); err != nil || !g.limits.Enforced {
			t.Errorf("%+v, %v", g, err)
		}
	})
	t.Run("they never cease", func(t *testing.T) {
		u, l := busy(t)
		l.base.strays = func() ([]int, error) { return []int{71}, nil }
		u.before = func(what string) error {
			if strings.HasPrefix(what, "a/cgroup.subtree_control") {
				return syscall.EBUSY
			}
			return nil
		}
		wantUnlimited(t, l, "processes keep coming into it; do this")
	})
	t.Run("one has ended meanwhile", func(t *testing.T) {
		u, l := busy(t)
		u.before = func(what string) error {
			if strings.HasSuffix(what, "cgroup.procs = 70") {
				return errors.Join(syscall.ESRCH, os.WriteFile(filepath.Join(u.root, "a", procsFile), nil, 0))
			}
			return nil
		}
		if g, err := l.Make(specV2, &enginetest.Ledger{}); err != nil || !g.limits.Enforced {
			t.Errorf("%+v, %v", g, err)
		}
	})
	t.Run("it may not be moved", func(t *testing.T) {
		u, l := busy(t)
		u.before = func(string) error { return fs.ErrPermission }
		wantUnlimited(t, l, "permission denied; do this")
	})
}

func wantUnlimited(t *testing.T, l limiter, why string) {
	t.Helper()
	var ledger enginetest.Ledger
	g, err := l.Make(specV2, &ledger)
	if err != nil || g.born != "" || g.limits.Enforced || g.limits.Why == nil || !strings.HasSuffix(*g.limits.Why, why) || len(ledger.Entries()) > 0 {
		t.Errorf("%+v, %v, ledger %v; want it to end in %q", g, err, ledger.Entries(), why)
		if g.limits.Why != nil {
			t.Log(*g.limits.Why)
		}
	}
}
