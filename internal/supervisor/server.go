package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// maxBody bounds a request, in bytes: the largest argument list that Linux takes is
// 2 MiB.
const maxBody = 8 << 20

// maxControl is how many connections there may be to the control socket: one for each
// command that runs, so more than any guest has processes by default.
const maxControl = 1024

// server is the two sockets of a workspace.
type server struct {
	http    *http.Server
	control net.Listener
	bridge  *bridge
}

// listen makes the sockets; only their owner may connect.
func (s *supervisor) listen() (*server, error) {
	control, err := listenUnix(s.path(ControlSocket))
	if err != nil {
		return nil, err
	}
	agent, err := listenUnix(s.path(AgentSocket))
	if err != nil {
		_ = control.Close()
		return nil, err
	}
	return &server{
		control: atMost(control, maxControl),
		bridge:  newBridge(agent, s.dialBusy),
		http: &http.Server{
			Handler:           s.untilGone(s.routes()),
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    1 << 16,
			ErrorLog:          silence,
		},
	}, nil
}

// silence is the log of an HTTP server: it would only repeat what clients did wrong.
var silence = log.New(io.Discard, "", 0)

// listenUnix makes a socket that only its owner can use.
func listenUnix(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if u, ok := l.(*net.UnixListener); ok { // it goes with its directory; the name may be the next supervisor's by then
		u.SetUnlinkOnClose(false)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return private{l}, nil
}

// private accepts connections of its own user and of root. For a moment a socket has
// the mode that the umask gives it, and its directory may let others pass.
type private struct{ net.Listener }

// Accept implements net.Listener.
func (p private) Accept() (net.Conn, error) {
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := sys.PeerUID(conn); err == nil && (uid == os.Geteuid() || uid == 0) {
			return conn, nil
		}
		_ = conn.Close()
	}
}

// limited closes connections that come while it has no place, at once: whoever holds
// all of them costs nobody more than that.
type limited struct {
	net.Listener
	places chan struct{}
}

func atMost(l net.Listener, places int) limited { return limited{l, make(chan struct{}, places)} }

// Accept implements net.Listener.
func (l limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &placed{Conn: conn, leave: sync.OnceFunc(func() { <-l.places })}, nil
		default:
			_ = conn.Close()
		}
	}
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

// serve returns after close, when the last connection has ended.
func (v *server) serve(ctx context.Context) error {
	go v.bridge.serve(ctx) // ends with close
	if err := v.http.Serve(v.control); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// close lets answers that are under way get out, then cuts what is left.
func (v *server) close() {
	v.bridge.close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if v.http.Shutdown(ctx) != nil {
		_ = v.http.Close()
	}
}

// untilGone hangs up on whoever asks on a connection that was kept when nothing is left of
// the sandbox: the socket takes nobody any more either, and what is to be known is recorded.
func (s *supervisor) untilGone(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.gone:
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *supervisor) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/hello", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, s.hello())
	})
	mux.HandleFunc("GET /v1/workspace", s.serveStatus)
	mux.HandleFunc("PATCH /v1/workspace", s.serveUpdate)
	mux.HandleFunc("DELETE /v1/workspace", s.serveDelete)
	mux.HandleFunc("POST /v1/stop", s.serveStop)
	mux.HandleFunc("POST /v1/exec", s.serveExec)
	mux.HandleFunc("GET /v1/logs", s.serveLogs)
	mux.HandleFunc("PUT /v1/sync", s.serveSync)
	mux.HandleFunc("POST /v1/sync/compare", s.serveCompare)
	s.routeLive(mux)
	s.routeTree(mux)
	s.routeFiles(mux)
	s.routeEvents(mux)
	s.routeDiff(mux)
	s.routeSnapshots(mux)
	mux.HandleFunc("GET /v1/disk/", func(w http.ResponseWriter, _ *http.Request) { fail(w, s.diskInUse()) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, &api.Error{Kind: api.Unsupported, Err: fmt.Errorf("%s %s is not known to pyro %s", r.Method, r.URL.Path, s.Version)})
	})
	return mux
}

// hello is how this supervisor introduces itself.
func (s *supervisor) hello() *api.Hello {
	return &api.Hello{Version: s.Version, API: api.APIVersion, Capabilities: []string{"exec", "exec-frames", "delete", "stop", "update", "logs", "sync", "shells", "services", "secrets", "events", "summary", "files", "patch", "snapshots", "reset", "forks", "diff"}}
}

// dialBusy is a connection to the agent that counts as use of the workspace until it
// is closed.
func (s *supervisor) dialBusy(ctx context.Context) (net.Conn, error) {
	done, err := s.enter("connect")
	if err != nil {
		return nil, err
	}
	conn, err := s.box().Dial(ctx)
	if err != nil {
		done()
		return nil, err
	}
	return &busyConn{Conn: conn, sure: s.sure, done: sync.OnceFunc(done)}, nil
}

type busyConn struct {
	net.Conn
	sure func(op string) error
	done func()
}

// Read implements net.Conn. What the agent says may be a success, see entry.ended.
func (c *busyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.sure("connect") != nil {
		return 0, io.EOF
	}
	return n, err
}

// Close implements net.Conn.
func (c *busyConn) Close() error {
	c.done()
	return c.Conn.Close()
}

// bodyTime bounds reading a request, so that nobody can hold one half said.
const bodyTime = 30 * time.Second

func decode(w http.ResponseWriter, r *http.Request, v any) error {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(&v)
	if err == nil && v == nil { // as null makes it
		err = errors.New("null is nothing to ask")
	}
	if err != nil {
		return &api.Error{Kind: api.Invalid, Err: fmt.Errorf("request: %w", err)}
	}
	return nil
}

func reply(w http.ResponseWriter, v any) { write(w, http.StatusOK, v) }

func fail(w http.ResponseWriter, err error) { write(w, api.KindOf(err).Status(), api.ReplyTo(err)) }

func write(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // a value that JSON has no form for
		code, body = http.StatusInternalServerError, []byte(`{"ok":false,"error":"the answer has no form in JSON","kind":"internal","hint":""}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1)) // so that its end is seen before ours
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a client that went away is no error of ours
}
