package gvisor

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/pyro-sandbox/pyro/api"
)

// stageFailed is pyro-runsc's status for a failure before runsc took over. A guest
// may exit with it too: the difference is that its agent has said hello before.
const stageFailed = 125

// diagnose says in one sentence which step of a boot failed, and what to do about
// it. It goes by what was tried, not by what the machine's settings claim.
func diagnose(e *bootError) (why, hint string) {
	switch {
	case e.step == "fork":
		return diagnoseFork(e.err)
	case e.code == stageFailed:
		return diagnoseStage(e.said)
	case errors.Is(e.err, context.DeadlineExceeded), errors.Is(e.err, api.Timeout):
		return "the agent did not answer in time", "the machine may be overloaded: try again"
	case errors.Is(e.err, context.Canceled), errors.Is(e.err, api.Canceled):
		return "interrupted", ""
	case e.killed():
		return "the sandbox was killed while it started: " + orElse(e.said, e.err.Error()),
			"try again; `pyro doctor` shows whether sandboxes run here"
	default:
		return "pyro-runsc ended before the agent answered: " + orElse(e.said, e.err.Error()),
			"`pyro doctor` shows what this machine lacks"
	}
}

// killed reports whether a process of the sandbox was ended from outside, as the kernel
// does when memory is short: pyro-runsc without a word, or another, and then pyro-runsc
// says that the talk with it broke off: with the Sentry, or the Sentry's with the gofer.
func (e *bootError) killed() bool {
	if e.step != "hello" {
		return false
	}
	return e.code < 0 && e.said == "" || strings.HasSuffix(e.said, ": EOF") || strings.HasSuffix(e.said, ": input/output error")
}

func diagnoseFork(err error) (why, hint string) {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "the kernel allows no more user namespaces (clone: " + err.Error() + ")",
			"raise the sysctl user.max_user_namespaces"
	case errors.Is(err, syscall.EPERM):
		return "the kernel refuses to make a user namespace (clone: " + err.Error() + ")",
			"allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1), or loosen the container's seccomp profile"
	case errors.Is(err, syscall.EBADF), errors.Is(err, syscall.EMFILE):
		return "too few descriptors are allowed: " + err.Error(), "raise the limit: ulimit -n 1024"
	case errors.Is(err, os.ErrNotExist):
		return "a helper is missing: " + err.Error(), "build it with make, or set PYRO_LIBDIR to where it is"
	default:
		return "starting pyro-runsc: " + err.Error(), ""
	}
}

func diagnoseStage(said string) (why, hint string) {
	why = strings.TrimPrefix(said, "pyro-runsc: ")
	switch {
	case strings.Contains(said, "mount_setattr") && strings.Contains(said, "not implemented"):
		return why, "pyro needs Linux 5.12 or newer"
	case strings.Contains(said, "stage.json"):
		return why, "every directory above it must let other users pass: see PYRO_SANDBOX_DIR and PYRO_RUN_DIR"
	case strings.Contains(said, "permission denied"), strings.Contains(said, "operation not permitted"):
		return why, "mounts are refused in user namespaces here: on Ubuntu add an AppArmor profile or set kernel.apparmor_restrict_unprivileged_userns=0"
	default:
		return why, "`pyro doctor` shows what this machine lacks"
	}
}

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
