package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/leaks"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/supervisor"
)

// envBoxes is where the test binary, as `pyro supervise ID`, has the files of its
// sandboxes: those of the fake engine, the real agent on a temporary directory.
const envBoxes = "PYRO_TEST_BOXES"

func TestMain(m *testing.M) {
	if boxes := os.Getenv(envBoxes); boxes != "" && len(os.Args) == 3 && os.Args[1] == "supervise" {
		if err := supervise(os.Args[2], boxes); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func supervise(id, boxes string) error {
	file := os.NewFile(3, "client")
	client, err := net.FileConn(file)
	if err != nil {
		return err
	}
	_ = file.Close()
	dirs, err := store.FindDirs(os.Getenv, os.Geteuid())
	if err != nil {
		return err
	}
	st, err := store.Open(dirs)
	if err != nil {
		return err
	}
	return supervisor.Run(context.Background(), supervisor.Config{
		ID: id, Store: st, Client: client, Engines: []engine.Engine{enginetest.NewFakeIn(boxes)},
		Policy: api.DefaultPolicy, Version: "test", Now: time.Now,
	})
}

// newClient is one whose workspaces are gone with the test, and with them all that they
// left.
func newClient(t *testing.T) *pyro.Client {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	short, err := os.MkdirTemp("", "pyro") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	at := leaks.Place(short)
	client, err := pyro.Open(&pyro.Options{
		Binary: self, StateDir: at.At(leaks.State), RunDir: at.At(leaks.Run), CacheDir: at.At(leaks.Cache),
		Env: append(os.Environ(), envBoxes+"="+t.TempDir(), "PYRO_URL="),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cleanUp(t, client, at) })
	return client
}

func cleanUp(t *testing.T, client *pyro.Client, at leaks.Place) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ids := make(map[string]bool)
	for _, id := range at.IDs() {
		ids[id] = true
		if _, err := client.Delete(ctx, id); err != nil && api.KindOf(err) != api.NotFound {
			t.Error(err)
		}
	}
	var left []string
	eventually(t, "nothing is left", func() bool { left = at.Left(ids); return len(left) == 0 })
	if len(left) > 0 {
		t.Log(strings.Join(left, "\n"))
	}
}

// eventually waits for a condition, and not for ever.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Errorf("it did not come to pass that %s", what)
			return
		case <-tick.C:
		}
	}
}

// site is a server as Serve runs it.
type site struct {
	t      *testing.T
	server *Server
	client *pyro.Client
	url    string // of http.Request
	socket string // of unix://
	token  string
	http   *http.Client
	log    *buffer
	stop   context.CancelFunc
	ended  chan error
}

func serveAt(t *testing.T, client *pyro.Client, p Place, o Options) *site {
	t.Helper()
	s := &site{t: t, client: client, log: &buffer{}, ended: make(chan error, 1)}
	o.Client, o.Version = client, "test"
	o.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.server = New(o)
	ready := make(chan string, 1)
	p.Ready = func(url, madeUp string) error {
		s.token = madeUp
		ready <- url
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.ended <- s.server.Serve(ctx, p) }() // ends with stop, which the cleanup calls
	select {
	case s.url = <-ready:
	case err := <-s.ended:
		t.Fatal(err)
	}
	dial := (&net.Dialer{}).DialContext
	if path, ok := strings.CutPrefix(s.url, "unix://"); ok {
		s.url, s.socket = "http://pyro", path
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	}
	s.http = &http.Client{Transport: &http.Transport{DialContext: dial}}
	t.Cleanup(s.end)
	return s
}

// end stops the server, if the test did not, and looks at how it ended.
func (s *site) end() {
	s.stop()
	s.http.CloseIdleConnections()
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Error(err)
		}
		s.ended <- nil
	case <-time.After(time.Minute):
		s.t.Error("the server did not end")
	}
}

// serve is a server on a socket of its own.
func serve(t *testing.T) *site {
	t.Helper()
	return serveAt(t, newClient(t), Place{PrivateIn: shortDir(t)}, Options{})
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, _ := filepath.Glob(dir + "/*"); len(left) > 0 {
			t.Errorf("left in the directory of the socket: %v", left)
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// create makes a workspace by the SDK.
func (s *site) create() *pyro.Workspace {
	s.t.Helper()
	ws, err := s.client.Create(s.t.Context(), "host", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return ws
}

// request is one that carries the token; body is JSON unless it is a reader.
func (s *site) request(method, path string, body any) *http.Request {
	s.t.Helper()
	var from io.Reader
	kind := "application/json"
	switch body := body.(type) {
	case nil:
		kind = ""
	case string:
		from = strings.NewReader(body)
	case io.Reader:
		from, kind = body, "application/octet-stream"
	default:
		data, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		from = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, from)
	if err != nil {
		s.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	return r
}

// reply is an answer that has been read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (s *site) do(r *http.Request) reply {
	s.t.Helper()
	res, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, body}
}

func (s *site) ask(method, path string, body any) reply {
	s.t.Helper()
	return s.do(s.request(method, path, body))
}

// failure is the error that an answer is.
func (r reply) failure(t *testing.T) api.ErrorReply {
	t.Helper()
	var e api.ErrorReply
	if err := json.Unmarshal(r.body, &e); err != nil || e.OK || e.Error == "" || e.Kind == "" {
		t.Errorf("status %d with %.200q is no error: %v", r.status, r.body, err)
	}
	return e
}

// got is the value that a successful answer is.
func got[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	if r.status != http.StatusOK {
		t.Fatalf("status %d: %.300s", r.status, r.body)
	}
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// buffer may be written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
