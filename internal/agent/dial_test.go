package agent

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// guestServer handles one connection.
func guestServer(t *testing.T, handle func(*net.TCPConn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with the connection, or the listener
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		handle(conn.(*net.TCPConn))
		_ = conn.Close()
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

// The server answers when the client has ended its direction, which only half a close
// can say.
func TestDialEndsDirectionsOneByOne(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		address := guestServer(t, func(conn *net.TCPConn) {
			data, err := io.ReadAll(conn)
			if err != nil {
				t.Error(err)
			}
			_, _ = conn.Write(bytes.ToUpper(data))
		})
		tunnel, err := c.DialTunnel(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tunnel.Close() }()
		sent := bytes.Repeat([]byte("abcdefgh"), 1<<18)
		if _, err := tunnel.Write(sent); err != nil {
			t.Fatal(err)
		}
		if err := tunnel.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(tunnel)
		if err != nil || !bytes.Equal(got, bytes.ToUpper(sent)) {
			t.Errorf("%d bytes came back of %d, %v", len(got), len(sent), err)
		}
	})
}

func TestDialEndsWithPeer(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		ended := make(chan error, 1)
		address := guestServer(t, func(conn *net.TCPConn) {
			_, _ = conn.Write([]byte("hello"))
			_, err := io.Copy(io.Discard, conn)
			ended <- err
		})
		tunnel, err := c.DialTunnel(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(tunnel, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		_ = tunnel.Close()
		<-ended
	})
}

func TestDialRefuses(t *testing.T) {
	c := serve(t, testConfig(t))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	for address, kind := range map[string]api.Kind{
		l.Addr().String(): api.Unavailable, "": api.Invalid, "80": api.Invalid, "localhost:0": api.Invalid, "localhost:x": api.Invalid,
	} {
		if _, err := c.DialTunnel(t.Context(), address); !errors.Is(err, kind) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
