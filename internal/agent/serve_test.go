package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

func dial(t *testing.T, c *wire.Client) net.Conn {
	t.Helper()
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask sends bytes and returns the reply line.
func ask(t *testing.T, c *wire.Client, request string) []byte {
	t.Helper()
	conn := dial(t, c)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func failure(t *testing.T, reply []byte) wire.Failure {
	t.Helper()
	var f wire.Failure
	if err := json.Unmarshal(reply, &f); err != nil {
		t.Fatalf("reply %q: %v", reply, err)
	}
	return f
}

func TestHello(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		h, err := c.Hello(t.Context())
		if err != nil || h.Protocol != wire.Protocol || h.Version == "" {
			t.Errorf("hello is %+v, %v", h, err)
		}
	})
}

func TestUnknownActionIsError(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		ran := filepath.Join(cfg.Workspace, "ran")
		for _, action := range []string{"frobnicate", "Exec", "open_shells", "restart_service"} {
			f := failure(t, ask(t, c, fmt.Sprintf(`{"action":%q,"command":"touch %s","shell_id":"a"}`+"\n", action, ran)))
			if f.Kind != string(api.Unsupported) || !strings.Contains(f.Error, action) {
				t.Errorf("%s: %+v", action, f)
			}
		}
		if _, err := os.Stat(ran); err == nil {
			t.Error("an unknown action ran a command")
		}
	})
}

func TestMalformedRequestIsError(t *testing.T) {
	c := serve(t, testConfig(t))
	for name, request := range map[string]string{
		"empty line":     "\n",
		"no JSON":        "hello\n",
		"no object":      "[]\n",
		"no UTF-8":       "{\"command\":\"\xff\"}\n",
		"list for env":   `{"command":"true","env":[]}` + "\n",
		"endless":        strings.Repeat("a", wire.MaxRequestLine+1000) + "\n",
		"and a lot more": "[]\n" + strings.Repeat("a", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			if f := failure(t, ask(t, c, request)); f.Error == "" || f.Kind != string(api.Invalid) {
				t.Errorf("reply is %+v", f)
			}
		})
	}
	t.Run("missing action is exec", func(t *testing.T) {
		if got := exec(t, c, "echo 1"); got.Stdout != "1\n" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("end of file ends the line", func(t *testing.T) {
		conn := dial(t, c)
		_, _ = io.WriteString(conn, `{"command":"echo 2"}`)
		_ = conn.(*net.UnixConn).CloseWrite()
		reply, err := io.ReadAll(conn)
		if err != nil || !bytes.Contains(reply, []byte(`"2\n"`)) {
			t.Errorf("reply is %q, %v", reply, err)
		}
	})
}

func TestConcurrentConnections(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		for range 64 { // idle ones
			dial(t, c)
		}
		slow := open(t, c, wire.StreamRequest{Command: "read x; echo $x", Stdin: true})
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				if got, err := c.Exec(t.Context(), wire.ExecRequest{Command: wire.LaxString(fmt.Sprint("echo ", i)), TimeoutSeconds: 60}); err != nil || got.Stdout != fmt.Sprint(i, "\n") {
					t.Errorf("exec %d: %+v, %v", i, got, err)
				}
			})
		}
		all.Wait()
		send(t, slow, wire.FrameStdin, []byte("end\n"))
		if got, err := collect(t, slow); err != nil || got.Stdout != "end\n" {
			t.Errorf("the slow one: %+v, %v", got, err)
		}
	})
}

func TestTooManyConnections(t *testing.T) {
	c := serve(t, testConfig(t))
	for range maxConnections {
		dial(t, c)
	}
	reply, err := io.ReadAll(dial(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if f := failure(t, reply); f.Kind != string(api.Unavailable) {
		t.Errorf("reply is %+v", f)
	}
}

// pipeListener hands out one end of pipes in memory.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

func TestIdleConnectionIsClosed(t *testing.T) {
	cfg := testConfig(t)
	for name, sent := range map[string]string{"silent": "", "half a request": `{"action":`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipeListener()
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- Serve(ctx, l, cfg) }()
				conn := l.dial()
				if sent != "" {
					if _, err := io.WriteString(conn, sent); err != nil {
						t.Fatal(err)
					}
				}
				began := time.Now()
				reply, err := io.ReadAll(conn)
				if err != nil {
					t.Fatal(err)
				}
				if f := failure(t, reply); f.Kind != string(api.Timeout) {
					t.Errorf("reply is %+v", f)
				}
				if took := time.Since(began); took != defaultHeaderTimeout {
					t.Errorf("closed after %v", took)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A slow peer that sends a byte now and then has no longer than the others.
func TestSlowRequestIsClosed(t *testing.T) {
	cfg := testConfig(t)
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- Serve(ctx, l, cfg) }()
		conn := l.dial()
		began := time.Now()
		var writer sync.WaitGroup
		writer.Go(func() { // ends when the agent has closed the connection
			for {
				if _, err := io.WriteString(conn, " "); err != nil {
					return
				}
				<-time.After(5 * time.Second)
			}
		})
		if _, err := io.ReadAll(conn); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != defaultHeaderTimeout {
			t.Errorf("closed after %v", took)
		}
		writer.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestLostPeerEndsOnlyItsConnection(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		other := open(t, c, wire.StreamRequest{Command: "read x; echo $x", Stdin: true})
		for _, request := range []string{
			"", `{"action":`,
			`{"command":"echo 1; echo 2 >&2"}` + "\n",
			`{"command":"head -c 9000000 /dev/zero"}` + "\n",
			`{"action":"exec_stream","argv":["yes"]}` + "\n",
			`{"action":"exec_stream","argv":["cat"],"stdin":true}` + "\n" + "i\x00\x00\x00\xffabc",
			`{"action":"extract_archive","archive_size":100000}` + "\nabc",
			`{"action":"export_archive"}` + "\n",
			`{"action":"list_workspace"}` + "\n",
		} {
			conn := dial(t, c)
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if got := exec(t, c, "echo on"); got.Stdout != "on\n" {
			t.Errorf("got %+v", got)
		}
		send(t, other, wire.FrameStdin, []byte("end\n"))
		if got, err := collect(t, other); err != nil || got.Stdout != "end\n" {
			t.Errorf("the other connection: %+v, %v", got, err)
		}
	})
}

// panicky is a connection whose reads panic.
type panicky struct{ net.Conn }

func (panicky) Read([]byte) (int, error) { panic("on purpose") }

func TestPanicEndsOnlyItsConnection(t *testing.T) {
	l := newPipeListener()
	background(t, func(ctx context.Context) error { return Serve(ctx, l, testConfig(t)) })
	ours, theirs := net.Pipe()
	l.conns <- panicky{theirs}
	reply, err := io.ReadAll(ours)
	if err != nil {
		t.Fatal(err)
	}
	if f := failure(t, reply); f.Kind != string(api.Internal) {
		t.Errorf("reply is %+v", f)
	}
	c := &wire.Client{Dial: func(context.Context) (net.Conn, error) { return l.dial(), nil }}
	if got := exec(t, c, "echo on"); got.Stdout != "on\n" {
		t.Errorf("got %+v", got)
	}
}

func TestServeEndsWithContext(t *testing.T) {
	l := newPipeListener()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, testConfig(t)) }()
	c := &wire.Client{Dial: func(context.Context) (net.Conn, error) { return l.dial(), nil }}
	idle := l.dial()
	s := open(t, c, wire.StreamRequest{Command: "echo ready; setsid sleep 3060 & sleep 3060"})
	if _, err := s.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, idle) }() // ends with the connection
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if alive("sleep 3060") {
		t.Error("the command outlived the agent")
	}
}

func TestServeReportsBrokenListener(t *testing.T) {
	l := newPipeListener()
	_ = l.Close()
	if err := Serve(t.Context(), l, testConfig(t)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
}

// 1000 commands leave nothing behind: TestMain looks for processes and goroutines,
// this for descriptors, in the middle.
func TestManyCommandsLeaveNothing(t *testing.T) {
	c := serveMux(t, testConfig(t))
	run := func(n int) {
		for range n {
			if got, err := collect(t, open(t, c, wire.StreamRequest{Argv: []string{"/bin/true"}})); err != nil || got.Exit.Code != 0 {
				t.Fatalf("got %+v, %v", got, err)
			}
		}
	}
	run(10)
	before := len(descriptors())
	run(1000)
	if after := len(descriptors()); after > before {
		t.Errorf("%d descriptors before, %d after: %v", before, after, descriptors())
	}
}

func TestOutOfDescriptorsIsNoEnd(t *testing.T) {
	got := map[error]bool{}
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, net.ErrClosed, io.EOF, nil} {
		got[err] = outOfDescriptors(err)
	}
	want := map[error]bool{syscall.EMFILE: true, syscall.ENFILE: true, syscall.ECONNABORTED: true, net.ErrClosed: false, io.EOF: false, nil: false}
	if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
