package wire_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// tunnels are both ends of one.
func tunnels(t *testing.T) (host, guest *wire.Tunnel) {
	t.Helper()
	a, b := net.Pipe()
	host, guest = wire.NewTunnel(a, bufio.NewReader(a)), wire.NewTunnel(b, bufio.NewReader(b))
	t.Cleanup(func() { _, _ = host.Close(), guest.Close() })
	return host, guest
}

func TestTunnelEndsOneDirection(t *testing.T) {
	host, guest := tunnels(t)
	data := make([]byte, 3<<20+17)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(data)
	go func() { // ends with the guest's direction
		_, _ = host.Write([]byte("give me all"))
		_ = host.CloseWrite()
	}()
	asked, err := io.ReadAll(guest)
	if err != nil || string(asked) != "give me all" {
		t.Fatalf("asked %q, %v", asked, err)
	}
	go func() { // ends when all is read
		_, _ = guest.Write(data)
		_ = guest.CloseWrite()
	}()
	got, err := io.ReadAll(host)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes of %d, %v", len(got), len(data), err)
	}
	if _, err := guest.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after the end: %v", err)
	}
}

func TestTunnelRefuses(t *testing.T) {
	for name, sent := range map[string]string{
		"another frame":     "o\x00\x00\x00\x01x",
		"an empty piece":    "d\x00\x00\x00\x00",
		"a huge piece":      "d\x7f\xff\xff\xff",
		"an end with words": "z\x00\x00\x00\x01x",
	} {
		t.Run(name, func(t *testing.T) {
			tunnel := wire.NewTunnel(nil, bufio.NewReader(strings.NewReader(sent)))
			if n, err := io.Copy(io.Discard, tunnel); !errors.Is(err, wire.ErrProtocol) || n != 0 {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	for name, sent := range map[string]string{"no end": "d\x00\x00\x00\x01x", "half a head": "d\x00", "half a piece": "d\x00\x00\x00\x02x"} {
		t.Run(name, func(t *testing.T) {
			tunnel := wire.NewTunnel(nil, bufio.NewReader(strings.NewReader(sent)))
			if _, err := io.Copy(io.Discard, tunnel); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSplice(t *testing.T) {
	client, front := tunnels(t)
	back, server := tunnels(t)
	spliced := make(chan error, 1)
	go func() { spliced <- wire.Splice(front, back) }() // ends with both directions
	go func() {
		_, _ = io.Copy(server, server)
		_ = server.CloseWrite()
	}()
	go func() {
		_, _ = client.Write(bytes.Repeat([]byte("echo "), 100_000))
		_ = client.CloseWrite()
	}()
	got, err := io.ReadAll(client)
	if err != nil || len(got) != 500_000 {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	if err := <-spliced; err != nil {
		t.Error(err)
	}
}

func FuzzTunnel(f *testing.F) {
	f.Add([]byte("d\x00\x00\x00\x03abcz\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		tunnel := wire.NewTunnel(nil, bufio.NewReader(bytes.NewReader(sent)))
		if n, _ := io.Copy(io.Discard, tunnel); n > int64(len(sent)) {
			t.Errorf("%d bytes of %d", n, len(sent))
		}
	})
}
