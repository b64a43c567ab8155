package httpapi

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowClientsAreLeft talks to the server over pipes, by a clock that does not wait.
func TestSlowClientsAreLeft(t *testing.T) {
	const head = "POST /v1/run HTTP/1.1\r\nHost: pyro\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
	seed := "POST /v1/workspaces HTTP/1.1\r\nHost: pyro\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n"
	for name, c := range map[string]struct {
		send  string
		after time.Duration // the connection is ended
		says  string
	}{
		"nothing":         {"", headerTime, ""},
		"half a header":   {head[:40], headerTime, ""},
		"half a body":     {head + `{"workspace`, bodyTime, "HTTP/1.1 408 "},
		"half a seed":     {seed + "--x\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{", pieceTime, "HTTP/1.1 408 "},
		"a whole request": {"GET /v1/hello HTTP/1.1\r\nHost: pyro\r\n\r\n", connectionIdle, "HTTP/1.1 200 "},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t)
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{Client: client})
				here, there := net.Pipe()
				l := &oneConn{conn: there, closed: make(chan struct{})}
				server := newHTTPServer(s.handler(door{scheme: "http"}), slog.New(slog.DiscardHandler))
				served := make(chan error, 1)
				go func() { served <- server.Serve(l) }() // ends with the server
				began := time.Now()
				go func() { _, _ = io.WriteString(here, c.send) }() // ends with the pipe
				got, err := io.ReadAll(here)
				if took := time.Since(began); took < c.after || took > c.after+farewellTime+time.Second {
					t.Errorf("it was left after %v, want %v: %v %q", took, c.after, err, got)
				}
				if !strings.HasPrefix(string(got), c.says) {
					t.Errorf("it was told %q", got)
				}
				_ = server.Close()
				<-served
			})
		})
	}
}

// TestClientsThatTakeNothingAreLeft is about the other direction.
func TestClientsThatTakeNothingAreLeft(t *testing.T) {
	client := newClient(t)
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Client: client})
		here, there := net.Pipe()
		l := &oneConn{conn: there, closed: make(chan struct{})}
		server := newHTTPServer(s.handler(door{scheme: "http"}), slog.New(slog.DiscardHandler))
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }() // ends with the server
		if _, err := io.WriteString(here, "GET /v1/openapi.json HTTP/1.1\r\nHost: pyro\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for s.busy.Load() == 0 {
			time.Sleep(time.Millisecond) // by the clock of the bubble
		}
		for s.busy.Load() > 0 {
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took > writeTime+2*time.Second {
			t.Errorf("it was left after %v", took)
		}
		_ = server.Close()
		<-served
	})
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
