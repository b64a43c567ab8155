//go:build !linux

package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// socketpair holds off forks, for there is no way to make sockets close-on-exec
// from the start.
func socketpair() (ours, theirs int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, 0, err
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return fds[0], fds[1], nil
}

// peerUID reads LOCAL_PEERCRED, see unix(4).
func peerUID(fd int) (int, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}

// unread asks with TIOCOUTQ, which here is the same for sockets.
func unread(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.TIOCOUTQ) }
