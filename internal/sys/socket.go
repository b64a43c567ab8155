package sys

import (
	"fmt"
	"net"
	"os"
)

// Socketpair makes two connected stream sockets, see socketpair(2): one for this
// process, the other to be handed to a child by exec.Cmd.ExtraFiles. The caller
// closes both; the child's as soon as the child has started, or the end of the
// child would not be seen. Neither is inherited by accident.
func Socketpair() (net.Conn, *os.File, error) {
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	file := os.NewFile(uintptr(ours), "socketpair")
	child := os.NewFile(uintptr(theirs), "socketpair")
	conn, err := net.FileConn(file) // a duplicate, in the runtime's poller
	_ = file.Close()
	if err != nil {
		_ = child.Close()
		return nil, nil, err
	}
	return conn, child, nil
}

// PeerUID returns the user id of the process at the other end of a unix socket, as
// it was when the two were connected. Other connections are refused.
func PeerUID(conn net.Conn) (int, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return -1, fmt.Errorf("peer of a %T: not a unix socket", conn)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	uid, failed := -1, error(nil)
	if err := raw.Control(func(fd uintptr) { uid, failed = peerUID(int(fd)) }); err != nil {
		return -1, err
	}
	return uid, os.NewSyscallError("getsockopt", failed)
}
