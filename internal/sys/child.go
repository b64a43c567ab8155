package sys

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
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

// maxComplaint is what is kept of a Complaint, in bytes: the telling lines.
const maxComplaint = 4 << 10

// Complaint keeps the beginning, 4 KiB, of what a program prints that says little
// unless it fails. It may be written to and read at the same time.
type Complaint struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer. It never fails.
func (c *Complaint) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p[:min(len(p), maxComplaint-len(c.text))]...)
	return len(p), nil
}

// String is the text without blanks around it.
func (c *Complaint) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(bytes.TrimSpace(c.text))
}

// ExitStatus is the status of a process that has ended as a shell has it: 128 plus
// the signal's number where a signal ended it.
func ExitStatus(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
