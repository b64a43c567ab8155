package sys

import "syscall"

// The signals that pyro's own processes handle or, in tests, send themselves, see
// signal(7).
const (
	SIGINT  = syscall.SIGINT
	SIGTERM = syscall.SIGTERM
	SIGKILL = syscall.SIGKILL
	SIGSTOP = syscall.SIGSTOP

	// Of these only a program that has the terminal wants to know.
	SIGWINCH = syscall.SIGWINCH
	SIGCONT  = syscall.SIGCONT
	SIGHUP   = syscall.SIGHUP
	SIGQUIT  = syscall.SIGQUIT
)
