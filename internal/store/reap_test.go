package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

func acquire(t testing.TB, w *Workspace, r Resource) {
	t.Helper()
	if err := w.Ledger().Acquire(r); err != nil {
		t.Fatalf("Acquire %v: %v", r, err)
	}
}

func processOf(t testing.TB, cmd *exec.Cmd) sys.Process {
	t.Helper()
	start, err := sys.ProcessStart(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return sys.Process{PID: cmd.Process.Pid, Start: start}
}

func TestReapEndsProcesses(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	cmd := helper(t, "wait")
	p := processOf(t, cmd)
	acquire(t, w, Resource{Kind: KindProcess, PID: p.PID})
	for range 2 {
		if err := w.Reap(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if p.Alive() {
		t.Fatal("the process is alive")
	}
	if entries, err := readLedger(w.ledger.path); err != nil || len(entries) > 0 {
		t.Fatalf("ledger after Reap: %v, %v", entries, err)
	}
}

func TestReapLeavesForeignProcesses(t *testing.T) {
	boot, err := sys.BootID()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Resource){
		"another start time": func(r *Resource) { r.Start++ },
		"another boot":       func(r *Resource) { r.BootID = "00000000-0000-0000-0000-000000000000" },
		"no boot":            func(r *Resource) { r.BootID = "" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			w := create(t, s, testID)
			p := processOf(t, helper(t, "wait"))
			r := Resource{Kind: KindProcess, PID: p.PID, Start: p.Start, BootID: boot}
			change(&r)
			line, err := (&Ledger{boot: func() (string, error) { return "", nil }}).line(r)
			if err != nil {
				t.Fatal(err)
			}
			mustWrite(t, w.ledger.path, string(line))
			if err := w.Remove(t.Context()); err != nil {
				t.Fatalf("Remove: %v", err)
			}
			if !p.Alive() {
				t.Fatal("a foreign process was killed")
			}
		})
	}
}

func TestReapLeavesItself(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	acquire(t, w, Resource{Kind: KindProcess, PID: os.Getpid()})
	if err := w.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRemoveTakesEverything(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	if err := acquireAll(w); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(w.Path(), "supervisor.log"), "x")
	file := filepath.Join(w.Path(), "a.sock")
	acquire(t, w, Resource{Kind: KindFile, Path: file})
	mustWrite(t, file, "")
	var left []string
	entries, err := readLedger(w.ledger.path)
	if err != nil || len(entries) < 4 {
		t.Fatalf("ledger: %v, %v", entries, err)
	}
	for _, r := range entries {
		if r.Path != "" {
			checkThere(t, r.Path)
			left = append(left, r.Path)
		}
	}
	if err := w.Remove(t.Context()); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	for _, path := range append(left, w.Path(), s.RunDir(testID), s.SandboxDir(testID)) {
		checkGone(t, path)
	}
	for _, r := range entries {
		if p := (sys.Process{PID: r.PID, Start: r.Start}); p.PID != 0 && p.Alive() {
			t.Errorf("%v is alive", r)
		}
	}
	for _, dir := range []string{s.workspaces(), s.trash(), s.dirs.UIDs, s.dirs.Run, s.dirs.Sandbox} {
		checkEmpty(t, dir)
	}
	if err := w.Remove(t.Context()); err != nil {
		t.Errorf("second Remove: %v", err)
	}
}

func TestReapRefusesForeignPaths(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	const other = "fffffffffff0"
	_ = create(t, s, other)
	outside := filepath.Join(shortTemp(t), "precious")
	mustWrite(t, outside, "x")
	for name, r := range map[string]Resource{
		"directory outside":     {Kind: KindDir, Path: filepath.Dir(outside)},
		"file outside":          {Kind: KindFile, Path: outside},
		"another workspace":     {Kind: KindDir, Path: s.Path(other)},
		"all workspaces":        {Kind: KindDir, Path: s.workspaces()},
		"the workspace":         {Kind: KindDir, Path: w.Path()},
		"its lock":              {Kind: KindFile, Path: s.lockOf(testID)},
		"its ledger":            {Kind: KindFile, Path: w.ledger.path},
		"all run directories":   {Kind: KindDir, Path: s.dirs.Run},
		"start of its name":     {Kind: KindDir, Path: s.RunDir(testID) + "x"},
		"user id elsewhere":     {Kind: KindUID, Path: outside},
		"cgroup of nobody":      {Kind: KindCgroup, Path: cgroupRoot + "/memory"},
		"cgroup of another":     {Kind: KindCgroup, Path: cgroupRoot + "/memory/pyro/" + other},
		"cgroup not below pyro": {Kind: KindCgroup, Path: cgroupRoot + "/memory/" + testID},
		"cgroup of a like name": {Kind: KindCgroup, Path: cgroupRoot + "/pyro/" + testID + "x"},
		"cgroup of all":         {Kind: KindCgroup, Path: cgroupRoot + "/user.slice/run.scope/pyro"},
		"cgroup above pyro":     {Kind: KindCgroup, Path: cgroupRoot + "/" + testID + "/pyro"},
		"cgroup elsewhere":      {Kind: KindCgroup, Path: filepath.Dir(outside) + "/pyro/" + testID},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.Truncate(w.ledger.path, 0); err != nil {
				t.Fatal(err)
			}
			w.ledger.open = false
			acquire(t, w, r)
			err := w.Remove(t.Context())
			if err == nil || !strings.Contains(err.Error(), r.Path) || !strings.Contains(err.Error(), "left alone") {
				t.Fatalf("Remove = %v, want it to name %s", err, r.Path)
			}
			for _, path := range []string{outside, w.Path(), s.lockOf(testID), w.ledger.path, s.Path(other)} {
				checkThere(t, path)
			}
		})
	}
}

func TestReapNeverFollowsLinks(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	outside := shortTemp(t)
	mustWrite(t, filepath.Join(outside, "precious"), "x")
	dir := s.SandboxDir(testID)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Symlink(outside, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	acquire(t, w, Resource{Kind: KindFile, Path: filepath.Join(dir, "link", "precious")})
	_ = w.Reap(t.Context()) // the entry may resist; the directory itself is gone
	checkThere(t, filepath.Join(outside, "precious"))
	if err := w.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkThere(t, filepath.Join(outside, "precious"))
}

func TestReapNamesMounts(t *testing.T) {
	requireRoot(t)
	s := newStore(t)
	w := create(t, s, testID)
	dir := s.SandboxDir(testID)
	inner := filepath.Join(dir, "mnt")
	outside := shortTemp(t)
	mustWrite(t, filepath.Join(outside, "precious"), "x")
	if err := os.MkdirAll(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	mount := exec.CommandContext(t.Context(), "mount", "--bind", outside, inner)
	if out, err := mount.CombinedOutput(); err != nil {
		testgate.Require(t, testgate.Tool, errors.New("mount --bind: "+string(out)))
	}
	t.Cleanup(func() { _ = exec.CommandContext(context.WithoutCancel(t.Context()), "umount", inner).Run() })
	err := w.Remove(t.Context())
	if err == nil || !strings.Contains(err.Error(), inner) {
		t.Fatalf("Remove = %v, want it to name %s", err, inner)
	}
	checkThere(t, filepath.Join(outside, "precious"))
}

// A user cannot read his own directory of mode 0, root can; so this plays the user.
func TestReapOpensClosedDirectories(t *testing.T) {
	base := shortTemp(t)
	if os.Geteuid() != 0 {
		s := openStore(t, testDirs(base))
		if err := live(t.Context(), s, testID); err != nil {
			t.Fatal(err)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self) // where another user can reach it
	binary := filepath.Join(base, "test")
	if err = errors.Join(err, os.WriteFile(binary, data, 0o600), os.Chmod(binary, 0o755), os.Chmod(base, 0o755), os.Mkdir(filepath.Join(base, "d"), 0o700), os.Chown(filepath.Join(base, "d"), 1500, 1500)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Dir = "/"
	cmd.Env = []string{helperEnv + "=live " + filepath.Join(base, "d")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1500, Gid: 1500}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	checkEmpty(t, filepath.Join(base, "d", "state", "trash"))
	checkEmpty(t, filepath.Join(base, "d", "sandbox", "x"))
}

func TestReapCgroups(t *testing.T) {
	for name, hierarchy := range map[string]string{"version 1": "memory", "version 2": "unified"} {
		t.Run(name, func(t *testing.T) {
			base := testCgroup(hierarchy)
			var err error
			if base == "" || os.Geteuid() != 0 {
				err = errors.New("no cgroup can be made below " + cgroupRoot + "/" + hierarchy)
			}
			testgate.Require(t, testgate.Cgroup, err)
			s := newStore(t)
			w := create(t, s, testID)
			group := filepath.Join(base, cgroupParent, testID)
			acquire(t, w, Resource{Kind: KindCgroup, Path: group})
			if err := os.MkdirAll(filepath.Join(group, "a", "b"), 0o755); err != nil {
				t.Fatal(err)
			}
			var members []sys.Process
			for _, sub := range []string{"", "a", "a/b"} {
				cmd := helper(t, "wait")
				procs := filepath.Join(group, sub, "cgroup.procs")
				if err := os.WriteFile(procs, []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
					t.Fatal(err)
				}
				members = append(members, processOf(t, cmd))
			}
			if err := w.Remove(t.Context()); err != nil {
				t.Fatalf("Remove: %v", err)
			}
			checkGone(t, group)
			if slices.ContainsFunc(members, sys.Process.Alive) {
				t.Fatal("a member is alive")
			}
		})
	}
}

func TestAllocateUID(t *testing.T) {
	s := newStore(t)
	one := create(t, s, testID)
	two := create(t, s, "fffffffffff0")
	uids := map[int]bool{}
	for range 20 {
		for _, w := range []*Workspace{one, two} {
			uid, err := w.AllocateUID()
			if err != nil || uid < firstUID || uid >= firstUID+countUIDs || uids[uid] {
				t.Fatalf("AllocateUID = %d, %v", uid, err)
			}
			uids[uid] = true
		}
	}
	// The ledger of a workspace that was killed just before making the entry.
	theirs, err := two.uids()
	if err != nil || len(theirs) != 20 {
		t.Fatalf("entries: %v, %v", theirs, err)
	}
	acquire(t, one, theirs[0])
	if err := one.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := two.uids()
	if diff := cmp.Diff(theirs, left); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	if err := two.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, s.dirs.UIDs)
	s.dirs.UIDs = ""
	if _, err := create(t, s, testID).AllocateUID(); !errors.Is(err, api.Unsupported) {
		t.Fatalf("AllocateUID without a directory = %v, want Unsupported", err)
	}
}

func TestReapWithTheKernelsOwnKill(t *testing.T) {
	dir := shortTemp(t)
	group := filepath.Join(dir, "group")
	mustMkdir := func(path string) {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mustMkdir(filepath.Join(group, "inner"))
	t.Run("is none in version 1 and before Linux 5.14", func(t *testing.T) {
		if err := killAll(group); err != nil {
			t.Error(err)
		}
	})
	mustWrite(t, filepath.Join(group, "cgroup.kill"), "")
	mustWrite(t, filepath.Join(group, "cgroup.procs"), "1\n")
	t.Run("is asked", func(t *testing.T) {
		if err := killAll(group); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(group, "cgroup.kill")); err != nil || string(got) != "1" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("is not asked by one who would die of it", func(t *testing.T) {
		mustWrite(t, filepath.Join(group, "cgroup.kill"), "")
		mustWrite(t, filepath.Join(group, "inner", "cgroup.procs"), strconv.Itoa(os.Getpid())+"\n")
		if err := killAll(group); !errors.Is(err, errOwn) {
			t.Errorf("got %v", err)
		}
		if got, err := os.ReadFile(filepath.Join(group, "cgroup.kill")); err != nil || len(got) > 0 {
			t.Errorf("%q, %v", got, err)
		}
	})
}
