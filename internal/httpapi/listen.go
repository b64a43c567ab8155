package httpapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/gate"
)

// maxSocket is how long the path of a socket may be, in bytes: unix(7) has 108, and the
// socket is made in a directory beside its place.
const maxSocket = 100

// probeTime is more than a local process needs to accept a connection.
const probeTime = time.Second

// listenUnix makes a socket that only its owner can use, at once and in place of one that
// nobody serves any more. remove takes it away again, unless another has taken its place.
func listenUnix(ctx context.Context, path string) (l net.Listener, remove func(), err error) {
	dir := filepath.Dir(path)
	if err := ownDir(dir); err != nil {
		return nil, nil, err
	}
	if len(path) > maxSocket {
		return nil, nil, &api.Error{Kind: api.Invalid, Hint: "choose a shorter path", Err: fmt.Errorf("%s has %d bytes, a socket's path may have %d", clip(path), len(path), maxSocket)}
	}
	// Made where nobody else can go, so that it is never seen with another mode.
	inside, err := os.MkdirTemp(dir, "")
	if err != nil {
		return nil, nil, unreachable(err)
	}
	defer func() { _ = os.RemoveAll(inside) }()
	made := filepath.Join(inside, "s")
	if l, err = (&net.ListenConfig{}).Listen(ctx, "unix", made); err != nil {
		return nil, nil, unreachable(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	var info fs.FileInfo
	if err = os.Chmod(made, 0o600); err == nil {
		err = takePlace(ctx, made, path, filepath.Join(inside, "old"))
	}
	if err == nil {
		info, err = os.Lstat(path)
	}
	if err != nil {
		_ = l.Close()
		return nil, nil, unreachable(err)
	}
	return l, func() {
		if now, err := os.Lstat(path); err == nil && os.SameFile(now, info) {
			_ = os.Remove(path)
		}
	}, nil
}

// takePlace gives a socket its name. What has that name is put aside first, and back again
// if somebody serves it: another may do the same at this moment.
func takePlace(ctx context.Context, made, path, aside string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return orInUse(path, os.Link(made, path))
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return &api.Error{Kind: api.Exists, Hint: "choose another path", Err: fmt.Errorf("%s is there and is no socket", clip(path))}
	case isServed(ctx, path):
		return inUse(path)
	}
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if isServed(ctx, aside) {
		return errors.Join(inUse(path), os.Link(aside, path))
	}
	return orInUse(path, os.Link(made, path))
}

func orInUse(path string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return inUse(path)
	}
	return err
}

func inUse(path string) error {
	return &api.Error{Kind: api.Exists, Hint: "use that one, or choose another place with --listen", Err: fmt.Errorf("somebody serves at %s", clip(path))}
}

func isServed(ctx context.Context, path string) bool {
	conn, err := (&net.Dialer{Timeout: probeTime}).DialContext(ctx, "unix", path)
	if err != nil {
		return errors.Is(err, fs.ErrPermission) || errors.Is(err, os.ErrDeadlineExceeded)
	}
	_ = conn.Close()
	return true
}

// ownDir makes a directory, or refuses one in which others could put a socket in the place
// of ours.
func ownDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return unreachable(err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return unreachable(err)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return &api.Error{Kind: api.Denied, Hint: "`chmod go-w` it, or choose another", Err: fmt.Errorf("others may write to %s", clip(dir))}
	}
	return nil
}

func unreachable(err error) error {
	if known, ok := errors.AsType[*api.Error](err); ok {
		return known
	}
	return &api.Error{Kind: api.Unavailable, Hint: "choose another place with --listen", Err: err}
}

// listenTCP listens on an address, and with a certificate speaks TLS there. Without one it
// refuses what is not loopback: the token would be read on the way.
func listenTCP(ctx context.Context, address string, identity *tls.Certificate) (net.Listener, error) {
	if err := gate.CheckAddress(address); err != nil {
		return nil, &api.Error{Kind: api.Invalid, Hint: "give --listen unix:PATH, or an address and port such as 127.0.0.1:8765", Err: err}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, &api.Error{Kind: api.Unavailable, Hint: "choose another address with --listen; port 0 is any free one", Err: err}
	}
	if identity == nil && !gate.IsLoopback(l.Addr()) {
		_ = l.Close()
		return nil, &api.Error{
			Kind: api.Denied, Hint: "give --tls-cert and --tls-key, or listen on 127.0.0.1",
			Err: fmt.Errorf("%s is not loopback, and without TLS everybody on the way could read the token", l.Addr()),
		}
	}
	return l, nil
}

// loadIdentity reads a certificate and its key, both in PEM; nil where none is named.
func loadIdentity(cert, key string) (*tls.Certificate, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err == nil && pair.Leaf == nil {
		err = errors.New("there is no certificate in it")
	}
	if err != nil {
		return nil, &api.Error{Kind: api.Invalid, Hint: "give --tls-cert and --tls-key files in PEM that belong together", Err: err}
	}
	return &pair, nil
}

// tlsConfig speaks HTTP/1.1 alone: frames need the connection to themselves.
func tlsConfig(identity *tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*identity}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}

// knownHosts tells the names of this server from others, which lead a browser here by a
// name that changes its address. An address itself cannot.
func knownHosts(asked string, leaf *x509.Certificate) func(string) bool {
	given, _, _ := net.SplitHostPort(asked)
	return func(host string) bool {
		if name, port, err := net.SplitHostPort(host); err == nil {
			if _, err := strconv.ParseUint(port, 10, 16); err != nil {
				return false
			}
			host = name
		} else {
			host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		}
		if _, err := netip.ParseAddr(host); err == nil {
			return true
		}
		known := strings.EqualFold(host, "localhost") || given != "" && strings.EqualFold(host, given)
		return host != "" && (known || leaf != nil && leaf.VerifyHostname(host) == nil)
	}
}

// limited lets no more connections in than it has places; others wait. Unlike that of
// netutil its connections can be closed in one direction.
type limited struct {
	net.Listener
	places chan struct{}
	over   chan struct{}
	once   sync.Once
}

func limit(l net.Listener, places int) *limited {
	return &limited{Listener: l, places: make(chan struct{}, places), over: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.over:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placed{Conn: conn, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.over) })
	return l.Listener.Close()
}

// placed is a connection that leaves its place when it is closed.
type placed struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}

// CloseWrite ends what goes out.
func (p *placed) CloseWrite() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
