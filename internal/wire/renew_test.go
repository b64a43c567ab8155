package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// What an agent had to say to the host of before comes in pieces of any size, and half
// of the answer may be in it.
func TestRestoredChannelLeavesOutWhatIsStale(t *testing.T) {
	for _, stale := range []string{"", "x", strings.Repeat("stale", 5000), Renewal[:5], Renewal[:11] + "x", "\xff\xff"} {
		ours, theirs := net.Pipe()
		r := &renewed{Conn: ours}
		go func() { // ends when all is read
			for b := range []byte(stale + Renewal + "fresh" + Renewal) {
				_, _ = theirs.Write([]byte((stale + Renewal + "fresh" + Renewal)[b : b+1]))
			}
			_ = theirs.Close()
		}()
		if got, err := io.ReadAll(r); err != nil || string(got) != "fresh"+Renewal {
			t.Errorf("after %.20q: %q, %v", stale, got, err)
		}
	}
}

func TestRestoredChannelIsBounded(t *testing.T) {
	r := &renewed{Conn: zeros{}}
	if _, err := r.Read(make([]byte, 10)); !errors.Is(err, ErrProtocol) {
		t.Errorf("got %v", err)
	}
	if cap(r.rest) > 64<<10 {
		t.Errorf("it keeps %d bytes", cap(r.rest))
	}
}

type zeros struct{ net.Conn }

func (zeros) Read(p []byte) (int, error) { return endless{}.Read(p) }

// While a channel is still nothing is sent, and before it is everything was read.
func TestStill(t *testing.T) {
	ours, file, err := sys.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	c, err := NewChannel(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Still(ended); !errors.Is(err, api.Canceled) {
		t.Errorf("an agent that does not read: %v", err)
	}
	head := make([]byte, len(MuxHead{}))
	if _, err := io.ReadFull(file, head); err != nil {
		t.Fatal(err)
	}
	resume, err := c.Still(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() { // ends when it may go on
		_, err := conn.Write([]byte("later"))
		wrote <- err
	}()
	if n, err := sys.Unread(ours); err != nil || n != 0 {
		t.Errorf("%d bytes unread, %v", n, err)
	}
	resume()
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(file, make([]byte, len(MuxHead{})+5)); err != nil {
		t.Error(err)
	}
}
