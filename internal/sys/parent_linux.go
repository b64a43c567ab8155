package sys

import (
	"os/exec"
	"syscall"
)

// EndWithUs lets the kernel kill a command that has not been started yet when the thread
// that starts it ends, which is when this process does: the runtime keeps its threads. See
// PR_SET_PDEATHSIG(2const). What the command has started lives on.
func EndWithUs(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
