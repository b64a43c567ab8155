package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/pyro-sandbox/pyro/api"
)

// muxFrame is the head of a frame of the multiplexer.
func muxFrame(kind byte, flags uint16, stream, length uint32) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, kind}, flags)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, stream), length)
}

// channelTo is a channel to a guest that says what it likes on the control socket.
func channelTo(t *testing.T) (*Channel, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	c, err := NewChannel(ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = theirs.Close() })
	return c, theirs
}

// TestGuestMayNotUseTheMux floods the control socket with what costs the host more than
// the guest, or what no guest may send. Each ends the session before anything grew.
func TestGuestMayNotUseTheMux(t *testing.T) {
	for name, frame := range map[string][]byte{
		"pings":                  muxFrame(muxTypePing, 1, 0, 7),
		"answers to no ping":     muxFrame(muxTypePing, 2, 0, 7),
		"streams":                muxFrame(1, 1, 2, 0),
		"streams with data":      muxFrame(muxTypeData, 1, 2, 1<<18),
		"streams of ours":        muxFrame(1, 1, 1, 0),
		"data beyond the window": muxFrame(muxTypeData, 0, 1, 1<<31),
		"unknown type":           muxFrame(9, 0, 0, 0),
		"another version":        append([]byte{1}, muxFrame(0, 0, 0, 0)[1:]...),
		"text":                   []byte("HTTP/1.1 200 OK\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			c, guest := channelTo(t)
			before := runtime.NumGoroutine()
			flood := bytes.Repeat(frame, 1+1<<20/len(frame))
			used := allocated(func() {
				for range 64 { // until the host hangs up
					if _, err := guest.Write(flood); err != nil {
						break
					}
				}
			})
			<-c.session.CloseChan()
			if used > 8<<20 {
				t.Errorf("%d bytes were allocated", used)
			}
			if now := runtime.NumGoroutine(); now > before {
				t.Errorf("%d goroutines, before %d", now, before)
			}
			if _, err := c.Dial(t.Context()); !errors.Is(err, api.Unavailable) {
				t.Errorf("a dial after that: %v", err)
			}
		})
	}
}

// Frames come in pieces of any size.
func TestGuardFollowsFrames(t *testing.T) {
	data := append(muxFrame(muxTypeData, 0, 1, 30), bytes.Repeat([]byte{2}, 30)...) // its bytes are no heads
	data = append(data, muxFrame(1, 2, 1, 5)...)
	for size := range 20 {
		g := &MuxFrames{}
		for rest := data; len(rest) > 0; {
			n := min(size+1, len(rest))
			if err := g.Follow(rest[:n], checkHead); err != nil {
				t.Fatalf("pieces of %d: %v", size+1, err)
			}
			rest = rest[n:]
		}
		if err := g.Follow(muxFrame(muxTypePing, 1, 0, 0), checkHead); !errors.Is(err, ErrProtocol) {
			t.Errorf("pieces of %d: a ping afterwards: %v", size+1, err)
		}
	}
}

func TestChannelCarries(t *testing.T) {
	c, guest := channelTo(t)
	agent, err := yamux.Server(guest, MuxConfig())
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the session
		for {
			conn, err := agent.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				answering(`{"stdout":"over the channel","exit_code":0}`+"\n")(conn, bufio.NewReader(conn))
				_ = conn.Close()
			}()
		}
	}()
	client := &Client{Dial: c.Dial}
	for range 3 {
		reply, err := client.Exec(t.Context(), ExecRequest{Command: "true"})
		if err != nil || reply.Stdout != "over the channel" {
			t.Errorf("%+v, %v", reply, err)
		}
	}
}

// TestGuestThatReadsNothing is reported as what it is, and not waited for. The
// multiplexer holds locks while it waits, so this needs a real clock.
func TestGuestThatReadsNothing(t *testing.T) {
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	c, err := newChannel(ours, ours, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, err = (&Client{Dial: c.Dial}).PushTree(t.Context(), ".", bytes.NewReader(make([]byte, 1<<20)))
	if !errors.Is(err, api.Timeout) {
		t.Errorf("%v of kind %q", err, api.KindOf(err))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.Dial(ctx); !errors.Is(err, api.Timeout) {
		t.Errorf("a dial: %v of kind %q", err, api.KindOf(err))
	}
}

// TestUnansweredDialsAreBounded opens connections to a guest that takes all and answers
// none.
func TestUnansweredDialsAreBounded(t *testing.T) {
	c, guest := channelTo(t)
	go func() { _, _ = io.Copy(io.Discard, guest) }() // ends with the pipe
	for range maxUnaccepted {
		if _, err := c.Dial(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Dial(ctx); !errors.Is(err, api.Timeout) {
		t.Errorf("one too many: %v", err)
	}
}

func TestIsTimeout(t *testing.T) {
	ours, theirs := net.Pipe()
	defer func() { _, _ = ours.Close(), theirs.Close() }()
	_ = ours.SetReadDeadline(time.Unix(1, 0))
	_, deadline := ours.Read(make([]byte, 1))
	for err, want := range map[error]bool{
		deadline: true, context.DeadlineExceeded: true, yamux.ErrTimeout: true, yamux.ErrConnectionWriteTimeout: true,
		io.EOF: false, net.ErrClosed: false, context.Canceled: false, yamux.ErrSessionShutdown: false,
	} {
		if IsTimeout(err) != want {
			t.Errorf("%v: %t", err, !want)
		}
		if kind := causeOf(t.Context(), err); (kind == api.Timeout) != want {
			t.Errorf("%v is of kind %q", err, kind)
		}
	}
}

// FuzzGuard takes the same bytes in two ways, and must not come to different ends.
func FuzzGuard(f *testing.F) {
	f.Add(append(muxFrame(muxTypeData, 0, 1, 3), 1, 2, 3), 5)
	f.Add(muxFrame(muxTypePing, 1, 0, 0), 1)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = max(1, min(size, 1<<16))
		whole, pieces := &MuxFrames{}, &MuxFrames{}
		want := whole.Follow(data, checkHead)
		var got error
		for rest := data; len(rest) > 0 && got == nil; {
			n := min(size, len(rest))
			got = pieces.Follow(rest[:n], checkHead)
			rest = rest[n:]
		}
		if (want == nil) != (got == nil) {
			t.Errorf("at once %v, in pieces of %d %v", want, size, got)
		}
	})
}
