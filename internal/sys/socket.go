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
func PeerUID(conn net.Conn) (int, error) { return ask(conn, "peer", peerUID) }

// Unread returns how much was written to a unix socket that the other end has not read
// yet: in bytes and what the kernel needs beside them, 0 when there is nothing. Other
// connections are refused.
func Unread(conn net.Conn) (int, error) { return ask(conn, "unread bytes", unread) }

func ask(conn net.Conn, what string, kernel func(fd int) (int, error)) (int, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return -1, fmt.Errorf("%s of a %T: not a unix socket", what, conn)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	answer, failed := -1, error(nil)
	if err := raw.Control(func(fd uintptr) { answer, failed = kernel(int(fd)) }); err != nil {
		return -1, err
	}
	if failed != nil {
		return -1, fmt.Errorf("%s of a socket: %w", what, failed)
	}
	return answer, nil
}
