package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// live is the whole life of a workspace with one resource of each kind that this
// user can have.
func live(ctx context.Context, s *Store, id string) error {
	w, err := s.Create(id)
	if err != nil {
		return err
	}
	if err := errors.Join(acquireAll(w), w.WriteRecord([]byte(`{"state":"started"}`))); err != nil {
		return err
	}
	return w.Remove(ctx)
}

func acquireAll(w *Workspace) error {
	run, err := w.MakeRunDir()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(run, "control.sock"), nil, 0o600); err != nil {
		return err
	}
	uid := os.Geteuid()
	if uid == 0 {
		if uid, err = w.AllocateUID(); err != nil {
			return err
		}
	}
	if err := makeSandboxDir(w, uid); err != nil {
		return err
	}
	group, err := makeTestCgroup(w)
	if err != nil {
		return err
	}
	return startMember(w, group)
}

// makeSandboxDir makes a tree as a hostile guest may leave it: closed directories, of
// another user, and links that lead out.
func makeSandboxDir(w *Workspace, uid int) error {
	dir := w.store.SandboxDir(w.id)
	if err := w.Ledger().Acquire(Resource{Kind: KindDir, Path: dir}); err != nil {
		return err
	}
	closed := filepath.Join(dir, "closed")
	if err := os.MkdirAll(filepath.Join(closed, "inner"), 0o700); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(closed, "inner", "file"), nil, 0),
		os.Symlink("/", filepath.Join(dir, "root")),
		os.Symlink("..", filepath.Join(dir, "up")),
		os.Chmod(filepath.Join(closed, "inner"), 0),
		os.Lchown(closed, uid, -1),
		os.Chmod(closed, 0),
		os.Lchown(dir, uid, -1),
	)
}

// makeTestCgroup makes a cgroup below pyro in the first hierarchy that allows it, with
// one below; "" where none does.
func makeTestCgroup(w *Workspace) (string, error) {
	base := testCgroup("")
	if base == "" {
		return "", nil
	}
	group := filepath.Join(base, cgroupParent, w.ID())
	if err := w.Ledger().Acquire(Resource{Kind: KindCgroup, Path: group}); err != nil {
		return "", err
	}
	return group, os.MkdirAll(filepath.Join(group, "inner"), 0o755)
}

// testCgroup returns a hierarchy in which cgroups can be made, of the given name, or
// any.
func testCgroup(name string) string {
	hierarchies, err := filepath.Glob(filepath.Join(cgroupRoot, name+"*", "cgroup.procs"))
	if err != nil {
		return ""
	}
	for _, procs := range append(hierarchies, filepath.Join(cgroupRoot, "cgroup.procs")) {
		probe := filepath.Join(filepath.Dir(procs), "pyro-probe-"+strconv.Itoa(os.Getpid()))
		// A new group of cpuset takes no members before it is configured.
		if filepath.Base(filepath.Dir(procs)) == "cpuset" || os.Mkdir(probe, 0o755) != nil {
			continue
		}
		if os.Remove(probe) == nil {
			return filepath.Dir(procs)
		}
	}
	return ""
}

// startMember starts a process in the cgroup, or anywhere, and enters it.
func startMember(w *Workspace, group string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), helperEnv+"=wait", markEnv+"="+filepath.Dir(w.store.dirs.State))
	if cmd.Stdin, err = os.Open("/dev/zero"); err != nil { // never ends
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if group != "" {
		procs := filepath.Join(group, "inner", "cgroup.procs")
		if err := os.WriteFile(procs, []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
			return err
		}
	}
	return w.Ledger().Acquire(Resource{Kind: KindProcess, PID: cmd.Process.Pid})
}
