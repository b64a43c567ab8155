package gvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	allV2   = "cpuset cpu io memory pids"
	onV2    = "cpu memory pids"
	userApp = "user.slice/user-1500.slice/user@1500.service/app.slice"
	scope   = userApp + "/run-u1.scope"
)

// seeker is a machine for finders: what is mounted, which processes run, and what a
// user may write to.
type seeker struct {
	*unified
	proc  string
	owned []string // cgroups, below the root, that uid 1500 may write to
}

func newSeeker(t *testing.T, offered, on string) *seeker {
	s := &seeker{unified: newUnified(t, offered, on), proc: t.TempDir()}
	s.program(70, "pyro")
	s.program(71, "shell")
	return s
}

// program makes a process with an executable of that name.
func (s *seeker) program(pid int, exe string) {
	s.t.Helper()
	target := filepath.Join(s.proc, exe)
	put(s.t, target, "")
	dir := filepath.Join(s.proc, fmt.Sprint(pid))
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Symlink(target, filepath.Join(dir, "exe"))); err != nil {
		s.t.Fatal(err)
	}
}

// in puts the finder itself into a cgroup.
func (s *seeker) in(path string) { put(s.t, filepath.Join(s.proc, "self/cgroup"), "0::/"+path+"\n") }

// finder is process 70 of that user, started by process 71.
func (s *seeker) finder(uid int) finder {
	return finder{root: s.root, proc: s.proc, uid: uid, self: 70, parent: 71, writable: func(path string) error {
		if uid == 0 {
			return nil
		}
		for _, dir := range s.owned {
			if path == filepath.Join(s.root, dir) || filepath.Dir(path) == filepath.Join(s.root, dir) {
				return nil
			}
		}
		return syscall.EACCES
	}}
}

// session is what systemd makes of a user's session; the scope is delegated.
func (s *seeker) session(procs string) {
	s.child("user.slice", allV2, onV2, "")
	s.child("user.slice/user-1500.slice", allV2, onV2, "")
	s.child("user.slice/user-1500.slice/user@1500.service", onV2, onV2, "")
	s.child(userApp, onV2, "memory pids", "")
	s.child(scope, onV2, "", procs)
	s.in(scope)
	s.owned = []string{scope}
}

func TestFinderOfVersion2(t *testing.T) {
	type want struct {
		base    string
		movable []int
		why     string
	}
	for name, test := range map[string]struct {
		uid  int
		make func(*testing.T) *seeker
		want want
	}{
		"root": {0, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, "memory pids")
			s.session("70\n71\n")
			return s
		}, want{base: "."}},
		"root in a container that holds its processes at its root": {0, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, "")
			put(t, filepath.Join(s.root, "cgroup.type"), "domain\n")
			put(t, filepath.Join(s.root, procsFile), "1\n70\n71\n")
			s.program(1, "init")
			s.in("")
			return s
		}, want{why: "the cgroup ROOT holds other processes, too; " + hintRoot}},
		"root in a container of which pyro is the only program": {0, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, "")
			put(t, filepath.Join(s.root, "cgroup.type"), "domain\n")
			put(t, filepath.Join(s.root, procsFile), "70\n71\n")
			s.in("")
			return s
		}, want{base: ".", movable: []int{70, 71}}},
		"root of a machine that lacks memory": {0, func(t *testing.T) *seeker {
			s := newSeeker(t, "cpu io pids", "")
			s.in("")
			return s
		}, want{why: "the cgroup ROOT lacks the controllers memory; " + hintRoot}},
		"user without a delegation": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.session("70\n71\n")
			s.owned = nil
			return s
		}, want{why: "the cgroup ROOT/" + scope + " is not delegated to uid 1500 (permission denied); " + hintDelegate}},
		"user in a scope of their own": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.session("70\n71\n")
			return s
		}, want{base: scope, movable: []int{70, 71}}},
		"several of ours in the scope": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.session("70\n71\n80\n90\n")
			s.program(80, "pyro2")
			_ = os.Remove(filepath.Join(s.proc, "80/exe"))
			if err := os.Symlink(filepath.Join(s.proc, "pyro"), filepath.Join(s.proc, "80/exe")); err != nil {
				t.Fatal(err)
			}
			return s // and 90 has ended
		}, want{base: scope, movable: []int{70, 71, 80, 90}}},
		"a stranger in the scope": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.session("70\n71\n80\n")
			s.program(80, "make")
			return s
		}, want{why: "the cgroup ROOT/" + scope + " holds other processes, too; " + hintDelegate}},
		"a stranger of another pid namespace": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.session("70\n0\n")
			s.program(0, "hidden")
			return s
		}, want{why: "the cgroup ROOT/" + scope + " holds other processes, too; " + hintDelegate}},
		"a stranger in the scope, but the one above is the user's": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.session("70\n71\n80\n")
			s.program(80, "make")
			s.owned = []string{scope, userApp}
			return s
		}, want{base: userApp}},
		"no processors": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.session("70\n71\n")
			put(t, filepath.Join(s.root, scope, controllersFile), "memory pids\n")
			return s
		}, want{why: "the cgroup ROOT/" + scope + " lacks the controllers cpu; " + hintDelegate}},
		"cgroup.procs is not the user's": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.session("70\n71\n")
			s.owned = nil
			return s
		}, want{why: "the cgroup ROOT/" + scope + " is not delegated to uid 1500 (permission denied); " + hintDelegate}},
		"threaded": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.session("70\n71\n")
			put(t, filepath.Join(s.root, scope, "cgroup.type"), "domain threaded\n")
			return s
		}, want{why: "the cgroup ROOT/" + scope + " is of the type domain threaded; " + hintDelegate}},
		"in the leaf of an earlier one": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.session("")
			put(t, filepath.Join(s.root, scope, subtreeFile), onV2+"\n")
			s.child(scope+"/"+hostLeaf, onV2, "", "70\n71\n")
			s.owned = append(s.owned, scope+"/"+hostLeaf)
			s.in(scope + "/" + hostLeaf)
			return s
		}, want{base: scope}},
		"outside of what is mounted": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.in("../other")
			return s
		}, want{why: "the own cgroup /../other cannot be reached from here; " + hintDelegate}},
		"an own cgroup that is gone": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			s.in("a (deleted)")
			return s
		}, want{why: "the own cgroup /a (deleted) cannot be reached from here; " + hintDelegate}},
		"no entry of version 2": {1500, func(t *testing.T) *seeker {
			s := newSeeker(t, allV2, onV2)
			put(t, filepath.Join(s.proc, "self/cgroup"), "4:memory:/\n")
			return s
		}, want{why: "this process is in no cgroup of version 2; " + hintDelegate}},
	} {
		t.Run(name, func(t *testing.T) {
			s := test.make(t)
			switch l := s.finder(test.uid).limiter().(type) {
			case limiterV2:
				rel, err := filepath.Rel(s.root, l.base.dir)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, want{base: rel, movable: l.base.movable}, cmp.AllowUnexported(want{})); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if got := l.How(); got != "cgroup v2 below "+l.base.dir {
					t.Errorf("it is enforced by %q", got)
				}
			case unlimited:
				got := want{why: strings.ReplaceAll(string(l), s.root, "ROOT")}
				if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(want{})); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			default:
				t.Errorf("got %T", l)
			}
			if len(s.did) > 0 {
				t.Errorf("looking did %q", s.did)
			}
		})
	}
}

func TestFinderOfVersions(t *testing.T) {
	v1 := func(t *testing.T, root string, controllers ...string) {
		for _, c := range controllers {
			put(t, filepath.Join(root, c, procsFile), "")
		}
	}
	for name, test := range map[string]struct {
		uid  int
		make func(t *testing.T, root string)
		want string
	}{
		"version 1": {0, func(t *testing.T, root string) { v1(t, root, "cpu", "memory", "pids") }, "cgroup v1"},
		"version 1 beside an empty version 2": {0, func(t *testing.T, root string) {
			v1(t, root, "cpu", "memory", "pids", "unified")
			put(t, filepath.Join(root, "unified", controllersFile), "\n")
		}, "cgroup v1"},
		"version 1 for a user": {
			1500, func(t *testing.T, root string) { v1(t, root, "cpu", "memory", "pids") },
			"cgroup v1 limits only what root runs; " + hintV1,
		},
		"version 1 without memory": {
			0, func(t *testing.T, root string) { v1(t, root, "cpu", "pids") },
			"the cgroup controllers cpu, memory, pids are not all mounted below ROOT; " + hintMount,
		},
		"nothing": {0, func(*testing.T, string) {}, "the cgroup controllers cpu, memory, pids are not all mounted below ROOT; " + hintMount},
		"version 2 beside a version 1 without controllers": {0, func(t *testing.T, root string) {
			v1(t, root, "systemd", "unified")
			put(t, filepath.Join(root, "unified", controllersFile), allV2)
			put(t, filepath.Join(root, "unified", subtreeFile), "")
		}, "cgroup v2 below ROOT/unified"},
	} {
		t.Run(name, func(t *testing.T) {
			root, proc := t.TempDir(), t.TempDir()
			put(t, filepath.Join(proc, "self/cgroup"), "4:memory:/\n0::/\n")
			test.make(t, root)
			f := finder{root: root, proc: proc, uid: test.uid, writable: func(string) error { return nil }}
			l := f.limiter()
			got := l.How()
			if u, ok := l.(unlimited); ok {
				got = string(u)
			}
			if got = strings.ReplaceAll(got, root, "ROOT"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	t.Run("version 1 that is read-only", func(t *testing.T) {
		root := t.TempDir()
		v1(t, root, "cpu", "memory", "pids")
		f := finder{root: root, writable: func(string) error { return syscall.EROFS }}
		if got, want := f.limiter(), unlimited("the cgroup controller cpu cannot be used: read-only file system; "+hintMount); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestKernelTreeMakesNoFiles(t *testing.T) {
	dir := t.TempDir()
	if err := (kernelTree{}).Write(filepath.Join(dir, "memory.max"), "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	for range 2 { // there already is fine
		if err := (kernelTree{}).Mkdir(filepath.Join(dir, "a")); err != nil {
			t.Error(err)
		}
	}
	if err := (kernelTree{}).Mkdir(filepath.Join(dir, "b/c")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	put(t, filepath.Join(dir, "pids.max"), "max")
	if err := (kernelTree{}).Write(filepath.Join(dir, "pids.max"), "542"); err != nil {
		t.Error(err)
	}
}
