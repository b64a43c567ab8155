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
// only exits knows nothing, and itself, see package launch in the module gvisor.
const (
	controlFD = 3
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
	var said bytes.Buffer
	began := time.Now()
	ours, guest, err := sys.Socketpair()
	if err != nil {
		return 0, err
	}
	defer func() { _ = ours.Close() }()
	self, err := os.Open(s.helper)
	if err != nil {
		_ = guest.Close()
		return 0, err
	}
	cmd := exec.CommandContext(ctx, fmt.Sprintf("/proc/self/fd/%d", helperFD), s.args...)
	cmd.Args[0], cmd.Env, cmd.Dir = "pyro-runsc", []string{}, "/"
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.ExtraFiles = make([]*os.File, helperFD-2)
	cmd.ExtraFiles[controlFD-3], cmd.ExtraFiles[helperFD-3] = guest, self
	cmd.SysProcAttr = attributes(s.uid)
	cmd.WaitDelay = time.Second
	err = cmd.Start()
	_, _ = guest.Close(), self.Close()
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return 0, fmt.Errorf("pyro-runsc: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	return time.Since(began), nil
}

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
