package mcpserver

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro/api"
)

const (
	testToken  = "0123456789abcdef0123"
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
)

// site is a server over HTTP, as ServeHTTP runs it.
type site struct {
	url   string
	token string
	ended chan error
	stop  context.CancelFunc
}

func serveHTTP(t *testing.T, s *Server, o HTTPOptions) *site {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	talk, writes := io.Pipe()
	o.Talk = writes
	ctx, stop := context.WithCancel(t.Context())
	p := &site{ended: make(chan error, 1), stop: stop}
	go func() { // ends with ctx, or because it cannot begin
		err := s.ServeHTTP(ctx, o)
		_ = writes.CloseWithError(err)
		p.ended <- err
	}()
	lines := bufio.NewReader(talk)
	for p.url == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it does not serve: %v", err)
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name == "token" {
			p.token = value
		}
		p.url = strings.TrimPrefix(strings.TrimSpace(line), "listening on ")
		if !strings.HasPrefix(p.url, "http") {
			p.url = ""
		}
	}
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
	})
	return p
}

// request is one that succeeds, but for what a test changes.
func (p *site) request(t *testing.T, method, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Authorization", "Bearer "+testToken)
	return r
}

// exchange sends a request and returns the status and the beginning of the body.
func exchange(t *testing.T, r *http.Request) (int, string, http.Header) {
	t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

func withToken(t *testing.T) *site {
	t.Helper()
	t.Setenv(tokenVariable, testToken)
	return serveHTTP(t, serverWith(t, untouched(t), nil), HTTPOptions{})
}

func TestWhoIsLetIn(t *testing.T) {
	p := withToken(t)
	evil := strings.Replace(p.url, "127.0.0.1", "evil.example", 1)
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"the right token":               {func(*http.Request) {}, 200},
		"the scheme in other case":      {func(r *http.Request) { r.Header.Set("Authorization", "bEARER "+testToken) }, 200},
		"no token":                      {func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"an empty token":                {func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 401},
		"a wrong token":                 {func(r *http.Request) { r.Header.Set("Authorization", "Bearer 0123456789abcdef0124") }, 401},
		"the beginning of the token":    {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+testToken[:16]) }, 401},
		"more than the token":           {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+testToken+"0") }, 401},
		"another scheme":                {func(r *http.Request) { r.Header.Set("Authorization", "Basic "+testToken) }, 401},
		"the token without a scheme":    {func(r *http.Request) { r.Header.Set("Authorization", testToken) }, 401},
		"the token as a user's name":    {func(r *http.Request) { r.SetBasicAuth("x", testToken) }, 401},
		"the token in the query":        {func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "access_token=" + testToken }, 401},
		"the token in a cookie":         {func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set("Cookie", "token="+testToken) }, 401},
		"a wrong token before it":       {func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer x", "Bearer " + testToken} }, 401},
		"another host":                  {func(r *http.Request) { r.Host = "evil.example" }, 403},
		"a host that begins like ours":  {func(r *http.Request) { r.Host = "127.0.0.1.evil.example" }, 403},
		"a rebound page":                {func(r *http.Request) { r.Host = "evil.example"; r.Header.Set("Origin", "http://evil.example") }, 403},
		"localhost":                     {func(r *http.Request) { r.Host = strings.Replace(r.URL.Host, "127.0.0.1", "localhost", 1) }, 200},
		"another origin":                {func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403},
		"the origin null":               {func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
		"an origin on another port":     {func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:1") }, 403},
		"an origin that is none":        {func(r *http.Request) { r.Header.Set("Origin", "http://%zz") }, 403},
		"an origin of a file":           {func(r *http.Request) { r.Header.Set("Origin", "file://") }, 403},
		"the origin of another scheme":  {func(r *http.Request) { r.Header.Set("Origin", "https://"+r.URL.Host) }, 403},
		"two origins":                   {func(r *http.Request) { r.Header["Origin"] = []string{"http://" + r.URL.Host, "http://evil.example"} }, 403},
		"its own origin":                {func(r *http.Request) { r.Header.Set("Origin", "http://"+r.URL.Host) }, 200},
		"another origin's GET":          {func(r *http.Request) { r.Method = "GET"; r.Header.Set("Origin", "http://evil.example") }, 403},
		"another origin's preflight":    {func(r *http.Request) { r.Method = "OPTIONS"; r.Header.Set("Origin", "http://evil.example") }, 403},
		"a preflight":                   {func(r *http.Request) { r.Method = "OPTIONS" }, 405},
		"a GET without a session":       {func(r *http.Request) { r.Method = "GET" }, 400},
		"a DELETE without a session":    {func(r *http.Request) { r.Method = "DELETE" }, 400},
		"a session that nobody began":   {func(r *http.Request) { r.Header.Set(sessionHeader, "00000000000000000000000000") }, 404},
		"another method":                {func(r *http.Request) { r.Method = "PUT" }, 405},
		"another path":                  {func(r *http.Request) { r.URL.Path = "/" }, 404},
		"a path beside it":              {func(r *http.Request) { r.URL.Path = "/mcp/x" }, 404},
		"text/plain":                    {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		"a form":                        {func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415},
		"no content type":               {func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		"a content type like ours":      {func(r *http.Request) { r.Header.Set("Content-Type", "application/jsonp") }, 415},
		"one that accepts no stream":    {func(r *http.Request) { r.Header.Set("Accept", "application/json") }, 400},
		"an unknown revision":           {func(r *http.Request) { r.Header.Set(versionHeader, "1999-01-01") }, 400},
		"a compressed body":             {func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415},
		"the address of another server": {func(r *http.Request) { r.Host = strings.TrimPrefix(evil, "http://") }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.request(t, http.MethodPost, initialize)
			c.change(r)
			status, text, header := exchange(t, r)
			if status != c.status {
				t.Errorf("status %d, want %d: %s", status, c.status, text)
			}
			for name := range header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("it answers browsers: %s", name)
				}
			}
			if status == http.StatusUnauthorized && (header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(text, testToken)) {
				t.Errorf("refused with %v %q", header, text)
			}
		})
	}
}

func TestModernRequestsAreChecked(t *testing.T) {
	p := withToken(t)
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"whole":             {func(*http.Request) {}, 200},
		"no version header": {func(r *http.Request) { r.Header.Del(versionHeader) }, 400},
		"no method header":  {func(r *http.Request) { r.Header.Del("Mcp-Method") }, 400},
		"another host":      {func(r *http.Request) { r.Host = "evil.example" }, 403},
		"another origin":    {func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
		"no token":          {func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"text/plain":        {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		"a GET":             {func(r *http.Request) { r.Method = "GET" }, 405},
		"a later revision":  {func(r *http.Request) { r.Header.Set(versionHeader, "2099-01-01") }, 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.request(t, http.MethodPost, list)
			r.Header.Set(versionHeader, firstStateless)
			r.Header.Set("Mcp-Method", "tools/list")
			c.change(r)
			if status, text, _ := exchange(t, r); status != c.status {
				t.Errorf("status %d, want %d: %s", status, c.status, text)
			}
		})
	}
}

// zeros are the body of a request that is too long.
type zeros struct {
	all   int64
	taken atomic.Int64
}

func (z *zeros) Read(p []byte) (int, error) {
	n := min(int64(len(p)), z.all-z.taken.Load())
	if n <= 0 {
		return 0, io.EOF
	}
	z.taken.Add(n)
	return int(n), nil
}

func TestLongBodiesAreRefused(t *testing.T) {
	p := withToken(t)
	for name, c := range map[string]struct {
		size   int64
		length bool // it is told before
		status int
	}{
		"as much as goes":       {maxBody, true, 400}, // it is no JSON
		"a byte more":           {maxBody + 1, true, 413},
		"a GiB":                 {1 << 30, true, 413},
		"a GiB without its end": {1 << 30, false, 413},
	} {
		t.Run(name, func(t *testing.T) {
			body := &zeros{all: c.size}
			r := p.request(t, http.MethodPost, "")
			r.Body, r.ContentLength = io.NopCloser(body), -1
			if c.length {
				r.ContentLength = c.size
			}
			r.Header.Set("Expect", "") // a client may begin to send
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil { // the connection was ended while the body was being sent
				if c.status != http.StatusRequestEntityTooLarge {
					t.Fatal(err)
				}
			} else {
				_ = res.Body.Close()
				if res.StatusCode != c.status {
					t.Errorf("status %d, want %d", res.StatusCode, c.status)
				}
			}
			if sent := body.taken.Load(); sent > 4*maxBody {
				t.Errorf("%d bytes were taken", sent)
			}
		})
	}
}

func TestBombsAreNotUnpacked(t *testing.T) {
	p := withToken(t)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, &zeros{all: 64 << 20}, 64<<20); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for _, coding := range []string{"gzip", "deflate", "br", "gzip, gzip", ""} {
		r := p.request(t, http.MethodPost, bomb.String())
		r.Header.Set("Content-Encoding", coding)
		want := http.StatusUnsupportedMediaType
		if coding == "" {
			want = http.StatusBadRequest
		}
		if status, text, _ := exchange(t, r); status != want {
			t.Errorf("%q: status %d, want %d: %s", coding, status, want, text)
		}
	}
}

// TestSlowClientsAreLeft talks to the server over pipes, by a clock that does not wait.
func TestSlowClientsAreLeft(t *testing.T) {
	head := "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
		"Accept: application/json, text/event-stream\r\nContent-Length: " + fmt.Sprint(len(initialize)) + "\r\n"
	for name, c := range map[string]struct {
		send  string
		after time.Duration // the connection is ended
	}{
		"nothing":         {"", headerTime},
		"half a header":   {head[:40], headerTime},
		"half a body":     {head + "\r\n" + initialize[:20], bodyTime},
		"a whole request": {head + "\r\n" + initialize, connectionIdle},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serverWith(t, Options{}, nil)
				here, there := net.Pipe()
				l := &oneConn{conn: there, closed: make(chan struct{})}
				server := newHTTPServer(s.Handler(), s.log)
				served := make(chan error, 1)
				go func() { served <- server.Serve(l) }() // ends with the server
				began := time.Now()
				go func() { _, _ = io.WriteString(here, c.send) }() // ends with the pipe
				got, err := io.ReadAll(here)
				if took := time.Since(began); took < c.after || took > c.after+time.Second {
					t.Errorf("it was left after %v, want %v: %v %q", took, c.after, err, got)
				}
				_ = server.Close()
				<-served
				for session := range s.mcp.Sessions() {
					_ = session.Close()
				}
			})
		})
	}
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
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serverWith(t, Options{}, nil)
		h := s.Handler()
		post := func(session, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/mcp", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", "application/json, text/event-stream")
			if session != "" {
				r.Header.Set(sessionHeader, session)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		ping := `{"jsonrpc":"2.0","id":2,"method":"ping"}`
		first, second := post("", initialize).Header().Get(sessionHeader), post("", initialize).Header().Get(sessionHeader)
		if len(first) < 26 || first == second { // 26 of 32 letters are 130 bits
			t.Errorf("sessions %q and %q", first, second)
		}
		time.Sleep(sessionIdle - time.Second)
		if w := post(first, ping); w.Code != http.StatusOK {
			t.Errorf("a session that is used: %d %s", w.Code, w.Body)
		}
		time.Sleep(2 * time.Second)
		if w := post(second, ping); w.Code != http.StatusNotFound {
			t.Errorf("a session that nobody used: %d", w.Code)
		}
		if n := s.sessions(); n != 1 {
			t.Errorf("%d sessions are left, want 1", n)
		}
		time.Sleep(sessionIdle)
		synctest.Wait()
		if n := s.sessions(); n != 0 {
			t.Errorf("%d sessions are left, want none", n)
		}
	})
}

func TestSessionsAreFew(t *testing.T) {
	t.Parallel()
	s := serverWith(t, untouched(t), nil)
	t.Cleanup(func() {
		for session := range s.mcp.Sessions() {
			_ = session.Close()
		}
	})
	h := s.Handler()
	begin := func() *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/mcp", strings.NewReader(initialize))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	var last string
	for i := range maxSessions {
		w := begin()
		if w.Code != http.StatusOK {
			t.Fatalf("session %d: %d %s", i, w.Code, w.Body)
		}
		last = w.Header().Get(sessionHeader)
	}
	if w := begin(); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("one more: %d %s", w.Code, w.Body)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodDelete, "http://localhost/mcp", nil)
	r.Header.Set(sessionHeader, last)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if w := begin(); w.Code != http.StatusOK {
		t.Errorf("after one was ended: %d %s", w.Code, w.Body)
	}
}

func TestIdleConnectionsAreFew(t *testing.T) {
	p := serveHTTP(t, serverWith(t, untouched(t), nil), HTTPOptions{NoAuth: true})
	address := strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/mcp")
	var first net.Conn
	for range maxConnections {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if first == nil {
			first = conn
		}
	}
	done := make(chan int, 1)
	request := p.request(t, http.MethodPost, initialize)
	go func() { // ends when one of the others has
		res, err := http.DefaultClient.Do(request)
		if err != nil {
			done <- 0
			return
		}
		_ = res.Body.Close()
		done <- res.StatusCode
	}()
	select {
	case status := <-done:
		t.Errorf("one more is served at once, with %d", status)
	case <-time.After(200 * time.Millisecond):
		_ = first.Close()
		if status := <-done; status != http.StatusOK {
			t.Errorf("after one was closed: %d", status)
		}
	}
}

func TestServeHTTPSaysWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	file := func(mode os.FileMode, text string) string {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		o        HTTPOptions
		variable string
		kind     api.Kind
		hint     string
	}{
		"a port that is taken":            {HTTPOptions{Listen: taken.Addr().String()}, "", api.Unavailable, "--listen"},
		"no port":                         {HTTPOptions{Listen: "127.0.0.1"}, "", api.Invalid, "127.0.0.1:8765"},
		"a port that is none":             {HTTPOptions{Listen: "127.0.0.1:http"}, "", api.Invalid, "127.0.0.1:8765"},
		"a port beyond all":               {HTTPOptions{Listen: "127.0.0.1:65536"}, "", api.Invalid, "127.0.0.1:8765"},
		"an address that is none":         {HTTPOptions{Listen: "::1:80"}, "", api.Invalid, "127.0.0.1:8765"},
		"an address of nobody":            {HTTPOptions{Listen: "192.0.2.1:0"}, "", api.Unavailable, "--listen"},
		"no token for all":                {HTTPOptions{Listen: "0.0.0.0:0", NoAuth: true}, "", api.Denied, "127.0.0.1"},
		"no token for all by no name":     {HTTPOptions{Listen: ":0", NoAuth: true}, "", api.Denied, "127.0.0.1"},
		"a short token":                   {HTTPOptions{}, "short", api.Invalid, "openssl rand"},
		"a token of two words":            {HTTPOptions{}, "0123456789 0123456789", api.Invalid, "openssl rand"},
		"a file that is not there":        {HTTPOptions{TokenFile: "/none"}, "", api.NotFound, "that there is"},
		"a directory":                     {HTTPOptions{TokenFile: "/"}, "", api.Invalid, "nothing but the token"},
		"a file that a group can read":    {HTTPOptions{TokenFile: file(0o640, testToken)}, "", api.Denied, "chmod 600"},
		"a file that everybody can read":  {HTTPOptions{TokenFile: file(0o604, testToken)}, "", api.Denied, "chmod 600"},
		"a file with a short token":       {HTTPOptions{TokenFile: file(0o600, "short\n")}, "", api.Invalid, "openssl rand"},
		"a file with nothing":             {HTTPOptions{TokenFile: file(0o600, "")}, "", api.Invalid, "openssl rand"},
		"a file with more than the token": {HTTPOptions{TokenFile: file(0o600, strings.Repeat("x", 4097))}, "", api.Invalid, "nothing but the token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(tokenVariable, c.variable)
			if c.o.Listen == "" {
				c.o.Listen = "127.0.0.1:0"
			}
			c.o.Talk = io.Discard
			err := serverWith(t, untouched(t), nil).ServeHTTP(t.Context(), c.o)
			if api.KindOf(err) != c.kind || !strings.Contains(api.HintOf(err), c.hint) {
				t.Errorf("%v (%s), hint %q; want %s with %q", err, api.KindOf(err), api.HintOf(err), c.kind, c.hint)
			}
			if c.variable != "" && strings.Contains(err.Error(), c.variable) {
				t.Errorf("the token is told: %v", err)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("\n"+testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o        HTTPOptions
		variable string
		want     string // empty: one that was made up
	}{
		"of a file":            {HTTPOptions{TokenFile: path}, "another one altogether", testToken},
		"of the variable":      {HTTPOptions{}, testToken, testToken},
		"made up":              {HTTPOptions{}, "", ""},
		"made up for a blank":  {HTTPOptions{}, "  ", ""},
		"none, and none asked": {HTTPOptions{NoAuth: true}, "", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(tokenVariable, c.variable)
			p := serveHTTP(t, serverWith(t, untouched(t), nil), c.o)
			shown := c.want
			if c.want == "" {
				if shown = p.token; len(shown) < 26 {
					t.Fatalf("the token %q was made up", shown)
				}
			} else if p.token != "" {
				t.Error("the token was told")
			}
			r := p.request(t, http.MethodPost, initialize)
			r.Header.Set("Authorization", "Bearer "+shown)
			if status, text, _ := exchange(t, r); status != http.StatusOK {
				t.Errorf("status %d: %s", status, text)
			}
		})
	}
}

func TestServeHTTPEndsInTime(t *testing.T) {
	ended := make(chan error, 1)
	at := make(chan struct{})
	s := serverWith(t, untouched(t), func(s *mcp.Server) {
		mcp.AddTool(s, &mcp.Tool{Name: "wait"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			close(at)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, nil, ctx.Err()
		})
	})
	p := serveHTTP(t, s, HTTPOptions{NoAuth: true})
	status, _, header := exchange(t, p.request(t, http.MethodPost, initialize))
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	said := p.request(t, http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	said.Header.Set(sessionHeader, header.Get(sessionHeader))
	exchange(t, said)
	call := p.request(t, http.MethodPost, callTool(2, "wait"))
	call.Header.Set(sessionHeader, header.Get(sessionHeader))
	left := make(chan struct{})
	go func() { // ends with the server
		defer close(left)
		if res, err := http.DefaultClient.Do(call); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	}()
	<-at
	p.stop()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	<-left
	if err := <-ended; err == nil {
		t.Error("the call went on")
	}
}
