package agent

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/vsock"

	"github.com/pyro-sandbox/pyro/internal/testgate"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

func TestListenUnix(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:" + file); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("over a file: %v", err)
	}
	path := filepath.Join(dir, "socket")
	l, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	if _, err := Listen("unix:" + path); err == nil || !strings.Contains(err.Error(), "answers") {
		t.Errorf("over a socket in use: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	l, err = Listen("unix:" + path)
	if err != nil {
		t.Fatalf("over a socket that nobody answers on: %v", err)
	}
	_ = l.Close()
	for _, spec := range []string{"", "unix:", "tcp:80", "vsock:x", "vsock:"} {
		if l, err := Listen(spec); err == nil {
			_ = l.Close()
			t.Errorf("%q was accepted", spec)
		}
	}
}

func TestVsockAcceptsOnlyItsPeer(t *testing.T) {
	l, err := Listen("vsock-local:0")
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		probe, dialErr := vsock.DialContext(ctx, vsock.Local, l.Addr().(*vsock.Addr).Port, nil)
		if err = dialErr; dialErr == nil {
			_ = probe.Close()
		}
	}
	if l != nil {
		t.Cleanup(func() { _ = l.Close() })
	}
	testgate.Require(t, testgate.Vsock, err)
	background(t, func(ctx context.Context) error { return Serve(ctx, l, testConfig(t)) })
	port := l.Addr().(*vsock.Addr).Port
	c := &wire.Client{Dial: wire.Vsock(vsock.Local, port)}
	if _, err := c.Hello(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPeerListener(t *testing.T) {
	l := newPipeListener()
	go func() {
		for _, cid := range []uint32{vsock.Local, 3, vsock.Host} {
			ours, theirs := net.Pipe()
			defer func() { _ = ours.Close() }()
			l.conns <- fromPeer{theirs, &vsock.Addr{ContextID: cid}}
		}
	}()
	conn, err := peerListener{l, vsock.Host}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.RemoteAddr().(*vsock.Addr).ContextID; got != vsock.Host {
		t.Errorf("a connection of %d was accepted", got)
	}
	_ = conn.Close()
}

type fromPeer struct {
	net.Conn
	addr net.Addr
}

func (c fromPeer) RemoteAddr() net.Addr { return c.addr }

func TestMainArguments(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"-h"}, 0, "-mem-mib"},
		{nil, 2, "either --listen or --fd"},
		{[]string{"--fd", "3", "--listen", "unix:x"}, 2, "either --listen or --fd"},
		{[]string{"--fd", "x"}, 2, "invalid value"},
		{[]string{"--fd", "3", "more"}, 2, `unexpected argument "more"`},
		{[]string{"--fd", "3", "--mem-mib", "-1"}, 2, "0 or more"},
		{[]string{"--listen", "pigeon:1"}, 1, "expected unix:PATH"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stderr bytes.Buffer
			if code := Main(t.Context(), tt.args, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.text) {
				t.Errorf("exit code %d, stderr %q", code, stderr.String())
			}
		})
	}
}
