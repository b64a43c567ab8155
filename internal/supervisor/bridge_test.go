package supervisor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/pyro-sandbox/pyro/api"
)

// bridged is a bridge to a guest that the test plays.
type bridged struct {
	*bridge
	path  string
	dials atomic.Int32
}

// newBridged serves the agent's side of every connection with guest, which ends
// when it has closed its side.
func newBridged(t *testing.T, guest func(net.Conn)) *bridged {
	t.Helper()
	host, far := pipe(t)
	config := yamux.DefaultConfig()
	config.EnableKeepAlive, config.LogOutput = false, io.Discard
	client, err := yamux.Client(host, config)
	if err != nil {
		t.Fatal(err)
	}
	server, err := yamux.Server(far, config)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { // ends with the server
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			all.Go(func() { // ends with guest
				defer func() { _ = conn.Close() }()
				guest(conn)
			})
		}
	})
	b := newBridgeTo(t, func(context.Context) (net.Conn, error) { return client.Open() })
	t.Cleanup(func() {
		_, _ = client.Close(), server.Close()
		all.Wait()
	})
	return b
}

func newBridgeTo(t *testing.T, dial func(context.Context) (net.Conn, error)) *bridged {
	t.Helper()
	path := filepath.Join(shortDir(t), AgentSocket)
	l, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	b := &bridged{path: path}
	b.bridge = newBridge(l, func(ctx context.Context) (net.Conn, error) {
		b.dials.Add(1)
		return dial(ctx)
	})
	served := make(chan struct{})
	go func() { // ends with close
		defer close(served)
		b.serve(context.Background())
	}()
	t.Cleanup(func() {
		b.close()
		<-served
	})
	return b
}

// say connects, says line and returns the connection, with a deadline for the test.
func (b *bridged) say(t *testing.T, line string) *net.UnixConn {
	t.Helper()
	conn, err := net.Dial("unix", b.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, line); err != nil && !errors.Is(err, net.ErrClosed) && line != "" {
		t.Logf("write: %v", err) // it may hang up before all is said
	}
	return conn.(*net.UnixConn)
}

const accepted = "OK 1073746829\n"

func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

func TestBridgeHandshake(t *testing.T) {
	for name, test := range map[string]struct {
		line string
		ok   bool
	}{
		"as it should be":       {"CONNECT 5005\n", true},
		"another port":          {"CONNECT 5006\n", false},
		"no port":               {"CONNECT\n", false},
		"a longer port":         {"CONNECT 50050\n", false},
		"zeros before":          {"CONNECT 05005\n", false},
		"lower case":            {"connect 5005\n", false},
		"two blanks":            {"CONNECT  5005\n", false},
		"blank before the end":  {"CONNECT 5005 \n", false},
		"carriage return":       {"CONNECT 5005\r\n", false},
		"empty line":            {"\n", false},
		"zero byte":             {"CONNECT 5005\x00\n", false},
		"another protocol":      {"GET / HTTP/1.1\r\n\r\n", false},
		"endless line":          {strings.Repeat("C", 1<<16), false},
		"as long as is read":    {strings.Repeat("C", maxHandshake), false},
		"right after a newline": {"\nCONNECT 5005\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBridged(t, echo)
			conn := b.say(t, test.line)
			if test.ok {
				_ = conn.CloseWrite()
			}
			got, err := io.ReadAll(conn)
			want := ""
			if test.ok {
				want = accepted
			}
			// What was not read is answered with a reset.
			if string(got) != want || err != nil && (test.ok || !strings.Contains(err.Error(), "reset")) {
				t.Errorf("answered %q, %v; want %q", got, err, want)
			}
			if dialled := b.dials.Load() > 0; dialled != test.ok {
				t.Errorf("the guest was dialled: %t", dialled)
			}
		})
	}
}

func TestBridgeHangsUpOnSilence(t *testing.T) {
	for name, said := range map[string]string{"nothing": "", "half a line": "CONNECT 50"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				b := newBridge(nil, func(context.Context) (net.Conn, error) { return nil, api.Unavailable })
				returned := make(chan time.Time, 1)
				begin := time.Now()
				go func() { // ends with the deadline
					b.connect(t.Context(), server)
					returned <- time.Now()
				}()
				if _, err := io.WriteString(client, said); err != nil {
					t.Error(err)
				}
				if took := (<-returned).Sub(begin); took != handshakeTime {
					t.Errorf("it took %v, want %v", took, handshakeTime)
				}
				_ = client.Close()
			})
		})
	}
}

// TestBridgeDripsDoNotExtendTheHandshake says a byte at a time.
func TestBridgeDripsDoNotExtendTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		b := newBridge(nil, func(context.Context) (net.Conn, error) { return nil, api.Unavailable })
		begin := time.Now()
		var dripping sync.WaitGroup
		dripping.Go(func() { // ends when the bridge has hung up
			tick := time.NewTicker(handshakeTime / 3)
			defer tick.Stop()
			for range tick.C {
				if _, err := client.Write([]byte("C")); err != nil {
					return
				}
			}
		})
		b.connect(t.Context(), server)
		took := time.Since(begin)
		_ = server.Close()
		dripping.Wait()
		if took != handshakeTime {
			t.Errorf("it took %v, want %v", took, handshakeTime)
		}
	})
}

func TestBridgeToASandboxThatIsGone(t *testing.T) {
	b := newBridgeTo(t, func(context.Context) (net.Conn, error) { return nil, api.Unavailable })
	if got, err := io.ReadAll(b.say(t, "CONNECT 5005\n")); len(got) > 0 || err != nil {
		t.Errorf("answered %q, %v", got, err)
	}
}

// TestBridgePassesBytesBothWays with what follows the handshake in the same write.
func TestBridgePassesBytesBothWays(t *testing.T) {
	b := newBridged(t, echo)
	data := bytes.Repeat([]byte("\x00\n\xffCONNECT 5005\n"), 1<<16)
	conn := b.say(t, "CONNECT 5005\nfirst")
	go func() { // ends when all is written, or with the connection
		_, _ = conn.Write(data)
		_ = conn.CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if want := accepted + "first" + string(data); string(got) != want || err != nil {
		t.Errorf("%d bytes came back, %v; want %d", len(got), err, len(want))
	}
}

// TestBridgeHalfClose: the guest answers only when the client has said all.
func TestBridgeHalfClose(t *testing.T) {
	b := newBridged(t, func(conn net.Conn) {
		said, err := io.ReadAll(conn)
		if err == nil {
			_, _ = conn.Write(bytes.ToUpper(said))
		}
	})
	conn := b.say(t, "CONNECT 5005\nquestion")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != accepted+"QUESTION" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestBridgeEndsWithTheGuest: a client that says nothing more is cut off then.
func TestBridgeEndsWithTheGuest(t *testing.T) {
	b := newBridged(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "bye") })
	if got, err := io.ReadAll(b.say(t, "CONNECT 5005\n")); string(got) != accepted+"bye" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestBridgeEndsWithTheClient(t *testing.T) {
	ended := make(chan error, 1)
	b := newBridged(t, func(conn net.Conn) {
		_, err := io.ReadAll(conn)
		ended <- err
	})
	conn := b.say(t, "CONNECT 5005\n")
	readAccepted(t, conn)
	_ = conn.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the guest read %v, want its end", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the guest never heard of it")
	}
}

func readAccepted(t *testing.T, conn net.Conn) {
	t.Helper()
	answer := make([]byte, len(accepted))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != accepted {
		t.Fatalf("answered %q, %v", answer, err)
	}
}

func TestBridgeTakes64AtOnce(t *testing.T) {
	b := newBridged(t, echo)
	conns := make([]net.Conn, maxBridged)
	for i := range conns {
		conns[i] = b.say(t, "CONNECT 5005\n")
		readAccepted(t, conns[i])
	}
	// The handshake may already fail to be written.
	if got, _ := io.ReadAll(b.say(t, "CONNECT 5005\n")); len(got) > 0 {
		t.Errorf("number %d was answered with %q", maxBridged+1, got)
	}
	if n := b.dials.Load(); n != maxBridged {
		t.Errorf("the guest was dialled %d times", n)
	}
	_ = conns[0].Close()
	for end := time.Now().Add(30 * time.Second); ; { // the place is free soon after
		conn := b.say(t, "CONNECT 5005\n")
		if got := make([]byte, len(accepted)); readsFull(conn, got) && string(got) == accepted {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the place of one that left stays taken")
		}
	}
	_ = conns[1].SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conns[1], "x"); err != nil {
		t.Error(err)
	}
	if one := make([]byte, 1); !readsFull(conns[1], one) {
		t.Error("one of those that were there was cut off")
	}
}

func readsFull(conn net.Conn, into []byte) bool {
	_, err := io.ReadFull(conn, into)
	return err == nil
}

// TestBridgeSocketIsPrivate in case that the directory is not.
func TestBridgeSocketIsPrivate(t *testing.T) {
	b := newBridged(t, echo)
	wantMode(t, b.path, 0o600)
}
