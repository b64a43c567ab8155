package sys

import "syscall"

// The signals that pyro's own processes handle, see signal(7).
const (
	SIGINT  = syscall.SIGINT
	SIGTERM = syscall.SIGTERM
)
