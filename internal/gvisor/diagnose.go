package gvisor

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
)

// stageFailed is pyro-runsc's status for a failure before runsc took over, and
// runscFailed is runsc's own. A guest may exit with either: what tells them apart
// is that the agent never said hello.
const (
	stageFailed = 125
	runscFailed = 128
)

// diagnose says in one sentence which step of a boot failed, and what to do about
// it. It goes by what was tried, not by what the machine's settings claim.
func diagnose(e *bootError) (why, hint string) {
	switch {
	case e.step == "fork":
		return diagnoseFork(e.err)
	case e.code == stageFailed:
		return diagnoseStage(e.said)
	case errors.Is(e.err, context.DeadlineExceeded):
		return "the agent did not answer in time", "the machine may be overloaded: try again"
	case errors.Is(e.err, context.Canceled):
		return "interrupted", ""
	default:
		return "pyro-runsc ended before the agent answered: " + orElse(e.said, e.err.Error()),
			"`pyro doctor` shows what this machine lacks"
	}
}

func diagnoseFork(err error) (why, hint string) {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "the kernel allows no more user namespaces (clone: " + err.Error() + ")",
			"raise the sysctl user.max_user_namespaces"
	case errors.Is(err, syscall.EPERM):
		return "the kernel refuses to make a user namespace (clone: " + err.Error() + ")",
			"allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1), or loosen the container's seccomp profile"
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
