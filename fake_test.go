package pyro

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const testID = "0123456789ab"

// supervisorScript is what a fake supervisor answers; nil handlers answer as a
// supervisor does that has nothing special to say.
type supervisorScript struct {
	hello  api.Hello
	status http.HandlerFunc
	exec   http.HandlerFunc
	delete http.HandlerFunc
	stream func(*peer) // the other side of a streamed exec

	more map[string]http.HandlerFunc // by pattern
}

func (s supervisorScript) handler() http.Handler {
	if s.hello.API == 0 {
		s.hello = api.Hello{Version: "0.0.0", API: api.APIVersion}
	}
	or := func(h http.HandlerFunc, v any) http.HandlerFunc {
		if h != nil {
			return h
		}
		return func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, http.StatusOK, v) }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/hello", or(nil, s.hello))
	mux.HandleFunc("GET /v1/workspace", or(s.status, api.Workspace{WorkspaceID: testID, State: api.StateStarted, Engine: "fake"}))
	mux.HandleFunc("DELETE /v1/workspace", or(s.delete, deletedReply(testID)))
	for pattern, h := range s.more {
		mux.HandleFunc(pattern, h)
	}
	mux.HandleFunc("POST /v1/exec", func(w http.ResponseWriter, r *http.Request) {
		if s.stream != nil && r.Header.Get("Upgrade") == api.Frames {
			serveStream(w, r, s.stream)
			return
		}
		or(s.exec, api.WorkspaceExec{WorkspaceID: testID, Stdout: "hello\n"})(w, r)
	})
	return mux
}

func deletedReply(id string) api.WorkspaceDelete {
	return api.WorkspaceDelete{WorkspaceID: id, Deleted: true, Reason: api.ReasonExplicitDelete}
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func answerError(w http.ResponseWriter, status int, kind api.Kind, text, hint string) {
	answerJSON(w, status, api.ErrorReply{Error: text, Kind: kind, Hint: hint})
}

// peer is the supervisor's side of a streamed exec.
type peer struct {
	conn    net.Conn
	in      *bufio.Reader
	request api.ExecRequest
	buf     []byte
}

func serveStream(w http.ResponseWriter, r *http.Request, script func(*peer)) {
	p := new(peer)
	if err := json.NewDecoder(r.Body).Decode(&p.request); err != nil {
		answerError(w, http.StatusBadRequest, api.Invalid, err.Error(), "")
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
	p.conn, p.in = conn, rw.Reader
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", api.Frames)
	script(p)
}

func (p *peer) send(t wire.FrameType, payload string) error {
	return wire.WriteFrame(p.conn, t, []byte(payload))
}

func (p *peer) receive() (wire.Frame, error) { return wire.ReadFrame(p.in, &p.buf) }

// awaitHangup returns when the client has closed the connection.
func (p *peer) awaitHangup() {
	for {
		if _, err := p.receive(); err != nil {
			return
		}
	}
}

func (p *peer) exit(result api.WorkspaceExec) {
	result.Command = api.Quote(p.request.Argv)
	payload, _ := json.Marshal(result)
	_ = wire.WriteFrame(p.conn, wire.FrameExit, payload)
}

// newTestClient returns a client with directories of its own, whose pyro is this
// test binary in the given role.
func newTestClient(t *testing.T, role string) *Client {
	t.Helper()
	checkLeaks(t)
	run, err := os.MkdirTemp("", "pyro") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	base := t.TempDir()
	st, err := store.Open(store.Dirs{
		State: filepath.Join(base, "state"), Cache: filepath.Join(base, "cache"),
		Run: filepath.Join(run, "r"), Sandbox: filepath.Join(base, "sandbox", "s"),
	})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env := environ{"PATH=/usr/bin", "HOME=" + base, "SECRET_TOKEN=x", envRole + "=" + role, envMarks + "=" + base}
	return &Client{binary: self, env: env, dirs: st.Dirs(), store: st, patience: 50 * time.Millisecond}
}

// serve answers for the workspace testID by the script until the test ends.
func serve(t *testing.T, c *Client, script supervisorScript) *Workspace {
	t.Helper()
	ws := c.attach(testID, nil)
	if err := os.MkdirAll(filepath.Dir(ws.control.socket), 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", ws.control.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(script.handler())
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return ws
}

// streaming is a workspace whose commands are played by the script.
func streaming(t *testing.T, script func(*peer)) *Workspace {
	t.Helper()
	return serve(t, newTestClient(t, ""), supervisorScript{stream: script})
}

// record puts a workspace into the state and returns it locked.
func record(t *testing.T, c *Client, id string, state api.State) *store.Workspace {
	t.Helper()
	held, err := c.store.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Unlock() })
	launch := workspace.Launch{Kind: workspace.KindWorkspace, Request: api.CreateRequest{Environment: "host"}.WithDefaults(api.DefaultPolicy)}
	r := workspace.NewRecord(id, launch, engine.Info{Name: "fake"}, time.Now())
	r.State = state
	if err := workspace.Write(held, r); err != nil {
		t.Fatal(err)
	}
	return held
}

// checkLeaks fails the test if goroutines or descriptors are left at its end. It is
// to be called before anything else registers a cleanup.
func checkLeaks(t *testing.T) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	t.Cleanup(func() {
		if t.Failed() {
			return // what is left then says nothing
		}
		eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines })
		eventually(t, "descriptors are closed", func() bool { return openFiles(t) <= files })
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// eventually waits for something that others do, and asks often.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	giveUp := time.NewTimer(10 * time.Second)
	defer giveUp.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-giveUp.C:
			stacks := make([]byte, 1<<16)
			t.Fatalf("it does not happen that %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
