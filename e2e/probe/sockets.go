//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// sockets connects to sockets and opens FIFOs of the host.
func sockets(p *plan) []attempt {
	var list []attempt
	for i, name := range p.Unix {
		who := fmt.Sprintf("socket %d", i+1)
		list = append(
			list,
			plain(who+": stream", func() error { return meet(unix.SOCK_STREAM, name) }),
			plain(who+": datagram", func() error { return meet(unix.SOCK_DGRAM, name) }),
			plain(who+": packets", func() error { return meet(unix.SOCK_SEQPACKET, name) }),
		)
		if name[0] == '/' && sandboxed() {
			list = append(
				list,
				plain(who+": through process 1's root", func() error { return meet(unix.SOCK_STREAM, "/proc/1/root"+name) }),
				plain(who+": by ..", func() error { return meet(unix.SOCK_STREAM, strings.Repeat("../", 12)+name) }),
				plain(who+": by a link", func() error { return meetLinked(name) }),
				plain(who+": a copy of the inode", func() error { return meetCopied(name) }),
				plain(who+": bound over", func() error { return occupy(name) }),
			)
		}
	}
	for i, path := range p.FIFOs {
		list = append(list, plain(fmt.Sprintf("fifo %d", i+1), func() error {
			fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK, 0)
			if err != nil {
				return err
			}
			defer func() { _ = unix.Close(fd) }()
			_, err = unix.Write(fd, garbage)
			return err
		}))
	}
	if sandboxed() {
		list = append(list, attempt{"sockets that are listed", func() (string, error) {
			data, err := os.ReadFile("/proc/net/unix")
			return fmt.Sprint(strings.Count(string(data), "@"), " abstract"), err
		}})
	}
	return list
}

// meet connects and sends a byte. A name that begins with @ is abstract.
func meet(kind int, name string) error {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte("x"))
	return err
}

func meetLinked(name string) error {
	at := "/workspace/socket-link"
	_ = os.Remove(at)
	return errors.Join(os.Symlink(name, at), meet(unix.SOCK_STREAM, at))
}

// meetCopied links the socket into a directory of ours.
func meetCopied(name string) error {
	at := "/workspace/socket-copy"
	_ = os.Remove(at)
	if err := os.Link(name, at); err != nil {
		return err
	}
	return meet(unix.SOCK_STREAM, at)
}

// occupy takes the name of the socket for one of ours, so that who comes on the host
// would find us. Where the directory is not there it makes one.
func occupy(name string) error {
	if err := os.MkdirAll(name[:strings.LastIndex(name, "/")], 0o755); err != nil {
		return err
	}
	_ = os.Remove(name)
	l, err := net.Listen("unix", name)
	if err != nil {
		return err
	}
	return l.Close()
}
