package plain

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// The descriptors that pyro-runsc gets: the guest's channel, of which a program that
// only exits knows nothing; the directory of a saved disk, where there is one; and
// itself, see package launch in the module gvisor.
const (
	controlFD = 3
	diskFD    = 254
	helperFD  = 255
)

// Sandbox is prepared, and can be run once.
type Sandbox struct {
	helper string
	args   []string
	uid    int
}

// Run executes pyro-runsc and returns the time from before its fork until it has
// ended and been waited for. When ctx ends, it is killed.
func (s *Sandbox) Run(ctx context.Context) (time.Duration, error) {
	// The parent-death signal belongs to the thread that forked.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := time.Now()
	ours, guest, err := sys.Socketpair()
	if err != nil {
		return 0, err
	}
	defer func() { _ = ours.Close() }()
	c := newChild(ctx, s.uid, s.args)
	err = c.start(s.helper, map[int]*os.File{controlFD: guest})
	_ = guest.Close()
	if err == nil {
		err = c.wait()
	}
	return time.Since(began), err
}

// child is a pyro-runsc, and what it said.
type child struct {
	*exec.Cmd
	said bytes.Buffer
}

func newChild(ctx context.Context, uid int, args []string) *child {
	c := &child{Cmd: exec.CommandContext(ctx, descriptor(helperFD), args...)}
	c.Args[0], c.Env, c.Dir = "pyro-runsc", []string{}, "/"
	c.Stdout, c.Stderr = &c.said, &c.said
	c.SysProcAttr = attributes(uid)
	c.WaitDelay = time.Second
	return c
}

// start forks with the helper and these files as its descriptors. The caller keeps the
// thread until wait has returned.
func (c *child) start(helper string, files map[int]*os.File) error {
	self, err := os.Open(helper)
	if err != nil {
		return err
	}
	defer func() { _ = self.Close() }()
	c.ExtraFiles = make([]*os.File, helperFD-2)
	c.ExtraFiles[helperFD-3] = self
	for fd, file := range files {
		c.ExtraFiles[fd-3] = file
	}
	return c.Start()
}

func (c *child) wait() error {
	if err := c.Wait(); err != nil {
		return fmt.Errorf("pyro-runsc: %w: %s", err, bytes.TrimSpace(c.said.Bytes()))
	}
	return nil
}

func descriptor(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// attributes are those of the gVisor engine.
func attributes(uid int) *syscall.SysProcAttr {
	root := os.Geteuid() == 0
	users := []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
	groups := users
	if !root {
		groups = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		UidMappings: users, GidMappings: groups, GidMappingsEnableSetgroups: root,
		Credential: &syscall.Credential{NoSetGroups: !root},
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
	}
}
