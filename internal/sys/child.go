package sys

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// OwnSession makes a command that has not been started the leader of a new session,
// see setsid(2): neither the end of this process nor its terminal reaches it then.
func OwnSession(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setsid = true
}

// RedirectOutput makes this process's stdout and stderr the given file, which the
// caller may close afterwards. What the runtime prints about a crash goes there too.
func RedirectOutput(to *os.File) error {
	for _, std := range []*os.File{os.Stdout, os.Stderr} {
		if err := unix.Dup2(int(to.Fd()), int(std.Fd())); err != nil {
			return os.NewSyscallError("dup2", err)
		}
	}
	return nil
}
