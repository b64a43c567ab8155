package pyro

import (
	"context"
	"fmt"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// ExitError says that a command ran and did not succeed: it ended with another
// status than 0, by a signal, or at its timeout. errors.Is(err,
// context.DeadlineExceeded) tells the timeout.
type ExitError struct {
	Result *api.WorkspaceExec

	// Stderr is what the command wrote there, of long output the head and the tail,
	// if it was started by Cmd.Output and had no Stderr. Else it is empty.
	Stderr []byte

	timeout time.Duration
}

// ExitCode returns the command's own status, 124 after a timeout, and minus the
// signal's number where a signal ended it.
func (e *ExitError) ExitCode() int { return e.Result.ExitCode }

// Error says how the command ended.
func (e *ExitError) Error() string {
	switch reason := e.reason(); {
	case reason == api.EndedByTimeout && e.timeout == 0:
		return "timed out"
	case reason == api.EndedByTimeout:
		return fmt.Sprintf("timed out after %v", e.timeout)
	case reason == api.EndedByOOM:
		return "killed: out of memory"
	case reason == api.EndedByCancel:
		return "killed: canceled"
	case e.Result.ExitCode < 0:
		return "signal: " + signalText(-e.Result.ExitCode)
	default:
		return fmt.Sprintf("exit status %d", e.Result.ExitCode)
	}
}

// Is reports whether target is the error of a context that ended in the same way.
func (e *ExitError) Is(target error) bool {
	switch e.reason() {
	case api.EndedByTimeout:
		return target == context.DeadlineExceeded
	case api.EndedByCancel:
		return target == context.Canceled
	}
	return false
}

func (e *ExitError) reason() string {
	if e.Result.Reason == nil {
		return ""
	}
	return *e.Result.Reason
}

// signalTexts are those of Linux, which the guest runs whatever this machine does;
// see signal(7).
var signalTexts = map[int]string{
	1: "hangup", 2: "interrupt", 3: "quit", 4: "illegal instruction", 5: "trace/breakpoint trap", 6: "aborted",
	7: "bus error", 8: "floating point exception", 9: "killed", 10: "user defined signal 1", 11: "segmentation fault",
	12: "user defined signal 2", 13: "broken pipe", 14: "alarm clock", 15: "terminated", 24: "CPU time limit exceeded",
	25: "file size limit exceeded", 31: "bad system call",
}

func signalText(number int) string {
	if text := signalTexts[number]; text != "" {
		return text
	}
	return fmt.Sprintf("signal %d", number)
}
