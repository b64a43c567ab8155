package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"
)

// Listen opens the listener that spec names: `unix:PATH`, a socket for the owner
// alone; `vsock:PORT`, which accepts the host (CID 2) and nobody else; and
// `vsock-local:PORT`, which accepts this machine itself (CID 1), for tests. A file at
// PATH that is no socket is refused; a socket that nobody answers on is replaced.
//
// It changes the umask of the process for a moment: call it before other goroutines
// make files.
func Listen(spec string) (net.Listener, error) {
	kind, where, _ := strings.Cut(spec, ":")
	switch kind {
	case "unix":
		return listenUnix(where)
	case "vsock":
		return listenVsock(where, vsock.Host)
	case "vsock-local":
		return listenVsock(where, vsock.Local)
	}
	return nil, fmt.Errorf("listen on %q: expected unix:PATH or vsock:PORT", spec)
}

func listenUnix(path string) (net.Listener, error) {
	if path == "" {
		return nil, errors.New("listen on unix: the path is empty")
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen on unix:%s: %w", path, err)
	}
	old := unix.Umask(0o177)
	defer unix.Umask(old)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on unix:%s: %w", path, err)
	}
	return l, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return errors.New("a file that is no socket is in the way")
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
		return errors.New("somebody answers there already")
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

func listenVsock(port string, peer uint32) (net.Listener, error) {
	n, err := strconv.ParseUint(port, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("listen on vsock: port %q is no number", port)
	}
	l, err := vsock.ListenContextID(unix.VMADDR_CID_ANY, uint32(n), nil)
	if err != nil {
		return nil, fmt.Errorf("listen on vsock:%d: %w", n, err)
	}
	return peerListener{l, peer}, nil
}

// peerListener accepts connections of one vsock peer. Everyone in the guest can
// connect to a vsock port too, and the agent takes orders from the host alone.
type peerListener struct {
	net.Listener
	peer uint32
}

// Accept implements net.Listener.
func (l peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if addr, ok := conn.RemoteAddr().(*vsock.Addr); ok && addr.ContextID == l.peer {
			return conn, nil
		}
		_ = conn.Close()
	}
}
