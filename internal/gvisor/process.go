package gvisor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Descriptors of pyro-runsc beside controlFD. It hands none of them on.
const (
	// helperFD is where pyro-runsc finds itself. It is also the descriptor whose mere
	// presence makes the kernel size the table for 256 before there is a second
	// thread; growing it later costs the Sentry 8 to 14 ms.
	helperFD = 255

	// diskFD is the directory of a saved disk, open: the sandbox's uid can walk into
	// no state directory.
	diskFD = 254
)

// diskPath is the name of diskFD on pyro-runsc's command line.
var diskPath = fmt.Sprintf("/proc/self/fd/%d", diskFD)

// child is pyro-runsc as the given uid, in namespaces of its own, with these
// descriptors and no others; nil ones stay closed. Whoever starts it keeps the thread
// until it has ended: the parent-death signal belongs to the thread that forked.
func child(ctx context.Context, uid int, args []string, files map[int]*os.File) *exec.Cmd {
	cmd := exec.CommandContext(ctx, fmt.Sprintf("/proc/self/fd/%d", helperFD), args...)
	cmd.Args[0] = "pyro-runsc"
	cmd.Env = []string{} // not nil: nil would mean ours
	cmd.Dir = "/"
	cmd.ExtraFiles = make([]*os.File, helperFD-2) // element i becomes descriptor 3+i
	for fd, file := range files {
		cmd.ExtraFiles[fd-3] = file
	}
	cmd.SysProcAttr = attributes(uid)
	cmd.WaitDelay = time.Second // a stray holder of stderr must not hold us
	return cmd
}

// attributes makes the child root of its own namespaces.
func attributes(uid int) *syscall.SysProcAttr {
	mapping := []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
	gid := mapping
	if os.Geteuid() != 0 {
		gid = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		UidMappings: mapping,
		GidMappings: gid,
		// Only root may drop supplementary groups; elsewhere the kernel denies it.
		GidMappingsEnableSetgroups: os.Geteuid() == 0,
		// Without it a child of root stays unmapped and owns nothing.
		Credential: &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: os.Geteuid() != 0},
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true, // a Ctrl-C at the terminal is not for it
	}
}
