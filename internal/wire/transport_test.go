package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/vsock"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// bridge listens on a unix socket, answers the handshake with answer and, where
// that is an OK, plays the agent. It hands on the first line it got.
func bridge(t *testing.T, answer string, script guest) (path string, asked <-chan string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "v.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	lines, done := make(chan string, 1), make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() { // ends with one connection, or with the listener
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		r := bufio.NewReader(conn)
		line, _ := r.ReadString('\n')
		lines <- line
		_, _ = io.WriteString(conn, answer)
		if script != nil {
			script(conn, r)
		}
		_, _ = io.Copy(io.Discard, conn) // returns when the host has closed
	}()
	return path, lines
}

func TestClientUsesBridgeWhereGiven(t *testing.T) {
	// A context id beside it changes nothing.
	path, asked := bridge(t, "OK 1073741824\n", func(conn net.Conn, r *bufio.Reader) {
		answering(`{"stdout":"over the bridge","exit_code":0}`+"\n")(conn, r)
		_ = conn.(*net.UnixConn).CloseWrite()
	})
	c := &Client{Dial: Transport(path, 7, Port)}
	reply, err := c.Exec(t.Context(), ExecRequest{Command: "true"})
	if err != nil || reply.Stdout != "over the bridge" {
		t.Fatalf("reply %+v, error %v", reply, err)
	}
	if line := <-asked; line != "CONNECT 5005\n" {
		t.Errorf("the bridge was asked %q", line)
	}
}

func TestClientQuotesBadBridge(t *testing.T) {
	long := strings.Repeat("x", 4*maxHandshake)
	for name, tc := range map[string]struct{ answer, quoted string }{
		"refusal":         {"ERR no such port\n", `"ERR no such port"`},
		"OK without port": {"OK\n", `"OK"`},
		"OK in a word":    {"OKAY 5\n", `"OKAY 5"`},
		"no line feed":    {long, `"` + long[:maxHandshake] + `"`},
		"control bytes":   {"\x1b[31m\n", `"\x1b[31m"`},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := bridge(t, tc.answer, nil)
			_, err := (&Client{Dial: Bridge(path)}).Hello(t.Context())
			if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tc.quoted) {
				t.Errorf("error %v, want ErrProtocol and the answer %s", err, tc.quoted)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		_, err := (&Client{Dial: Bridge(filepath.Join(t.TempDir(), "none"))}).Hello(t.Context())
		if !errors.Is(err, api.Unavailable) {
			t.Errorf("error %v, want unavailable", err)
		}
	})
	t.Run("hangs up", func(t *testing.T) {
		host, agent := net.Pipe()
		go func() { // ends when it has read the line
			_, _ = bufio.NewReader(agent).ReadString('\n')
			_ = agent.Close()
		}()
		if err := handshake(t.Context(), host); err == nil || errors.Is(err, ErrProtocol) {
			t.Errorf("error %v, want one that may be tried again", err)
		}
		_ = host.Close()
	})
}

func TestClientWithoutTransport(t *testing.T) {
	_, err := (&Client{Dial: Transport("", 0, Port)}).Exec(t.Context(), ExecRequest{Command: "true"})
	if !errors.Is(err, api.Unsupported) || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("error %v of kind %q, want unsupported", err, api.KindOf(err))
	}
}

// loopback is the context id by which a machine reaches itself, see vsock(7).
const loopback = 1

// listenVsock listens on the loopback and proves that it can be reached.
func listenVsock() (*vsock.Listener, uint32, error) {
	l, err := vsock.ListenContextID(loopback, 0, nil)
	if err != nil {
		return nil, 0, err
	}
	port := l.Addr().(*vsock.Addr).Port
	conn, err := vsock.Dial(loopback, port, nil)
	if err != nil {
		_ = l.Close()
		return nil, 0, err
	}
	_ = conn.Close()
	if accepted, err := l.Accept(); err == nil {
		_ = accepted.Close()
	}
	return l, port, nil
}

func TestClientRoundTripOverVsock(t *testing.T) {
	l, port, err := listenVsock()
	testgate.Require(t, testgate.Vsock, err)
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() { // ends with one connection, or with the listener
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		answering(`{"stdout":"over vsock","exit_code":0}`+"\n")(conn, bufio.NewReader(conn))
		_ = conn.Close()
	}()
	c := &Client{Dial: Transport("", loopback, port)}
	reply, err := c.Exec(t.Context(), ExecRequest{Command: "true"})
	if err != nil || reply.Stdout != "over vsock" {
		t.Errorf("reply %+v, error %v", reply, err)
	}
}

func TestVsockThatNobodyServes(t *testing.T) {
	// Where vsock has a loopback this is refused; elsewhere nothing answers.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := (&Client{Dial: Transport("", loopback, 1<<31)}).Hello(ctx)
	if err == nil || errors.Is(err, api.Internal) || !strings.Contains(err.Error(), "connect to vsock 1:2147483648") {
		t.Errorf("error %v of kind %q", err, api.KindOf(err))
	}
}

func TestBridgeEndsWithItsContext(t *testing.T) {
	path, asked := bridge(t, "", nil) // never answers
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }() // ends when the bridge was asked
	_, err := Bridge(path)(ctx)
	if !errors.Is(err, api.Canceled) {
		t.Errorf("error %v of kind %q, want canceled", err, api.KindOf(err))
	}
}
