package sys

import "golang.org/x/sys/unix"

func socketpair() (ours, theirs int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	return fds[0], fds[1], err
}

// peerUID reads SO_PEERCRED, see unix(7).
func peerUID(fd int) (int, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}

// unread asks with SIOCOUTQ, see unix(7) of the kernel's sources (unix_ioctl).
func unread(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.SIOCOUTQ) }
