package httpapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

func TestUnixSocketIsItsOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "api.sock")
	s := serveAt(t, newClient(t), Place{Listen: "unix:" + path}, Options{})
	for name, want := range map[string]fs.FileMode{path: fs.ModeSocket | 0o600, filepath.Dir(path): fs.ModeDir | 0o700} {
		if info, err := os.Lstat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v, want %v", name, info.Mode(), err, want)
		}
	}
	if got := s.ask("GET", "/v1/hello", nil); got.status != http.StatusOK {
		t.Errorf("status %d: %s", got.status, got.body)
	}
	s.end()
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// stale leaves a socket that nobody serves.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
}

func TestPlacesThatAreTaken(t *testing.T) {
	client := newClient(t)
	for name, c := range map[string]struct {
		before func(t *testing.T, path string)
		kind   api.Kind // empty: it serves
	}{
		"nothing":          {func(*testing.T, string) {}, ""},
		"a stale socket":   {stale, ""},
		"a server":         {func(t *testing.T, path string) { serveAt(t, client, Place{Listen: "unix:" + path}, Options{}) }, api.Exists},
		"a file":           {func(t *testing.T, path string) { _ = os.WriteFile(path, nil, 0o600) }, api.Exists},
		"a directory":      {func(t *testing.T, path string) { _ = os.Mkdir(path, 0o700) }, api.Exists},
		"a link":           {func(t *testing.T, path string) { _ = os.Symlink("elsewhere", path) }, api.Exists},
		"others may write": {func(t *testing.T, path string) { _ = os.Chmod(filepath.Dir(path), 0o777) }, api.Denied},
		"a sticky place":   {func(t *testing.T, path string) { _ = os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky) }, ""},
		"a file as its dir": {func(t *testing.T, path string) {
			_ = os.Remove(filepath.Dir(path))
			_ = os.WriteFile(filepath.Dir(path), nil, 0o600)
		}, api.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "d", "s")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			c.before(t, path)
			before, _ := os.Lstat(path)
			if c.kind == "" {
				serveAt(t, client, Place{Listen: "unix:" + path}, Options{}).end()
				return
			}
			err := New(Options{Client: client}).Serve(t.Context(), Place{Listen: "unix:" + path})
			if api.KindOf(err) != c.kind || api.HintOf(err) == "" {
				t.Errorf("%v of kind %s, want %s", err, api.KindOf(err), c.kind)
			}
			if after, _ := os.Lstat(path); before != nil && !os.SameFile(before, after) {
				t.Error("what was there is not there any more")
			}
		})
	}
}

func TestServersDoNotTakeEachOthersPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale(t, path)
	first, remove, err := listenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	second, other, err := listenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close(); other() }()
	remove()
	if !isServed(t.Context(), path) {
		t.Error("the first has removed the second's socket")
	}
}

func TestPrivateDirectoriesOfKilledServersAreRemoved(t *testing.T) {
	in := shortDir(t)
	left, young := filepath.Join(in, privateName+"1"), filepath.Join(in, privateName+"2")
	for _, dir := range []string{left, young} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		stale(t, filepath.Join(dir, "api.sock"))
	}
	old := time.Now().Add(-2 * leftAfter)
	if err := os.Chtimes(left, old, old); err != nil {
		t.Fatal(err)
	}
	s := serveAt(t, newClient(t), Place{PrivateIn: in}, Options{})
	_, gone := os.Stat(left)
	if _, err := os.Stat(young); err != nil || !errors.Is(gone, fs.ErrNotExist) {
		t.Errorf("old: %v, young: %v", gone, err)
	}
	s.end()
	_ = os.RemoveAll(young)
}

func TestPlacesThatAreRefused(t *testing.T) {
	client := newClient(t)
	dir := t.TempDir()
	file := func(name, text string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := certificate(t, "127.0.0.1")
	_, otherKey := certificate(t, "127.0.0.1")
	for name, c := range map[string]struct {
		place Place
		kind  api.Kind
	}{
		"no port":                 {Place{Listen: "127.0.0.1"}, api.Invalid},
		"a port that is none":     {Place{Listen: "127.0.0.1:http"}, api.Invalid},
		"nothing":                 {Place{}, api.Invalid},
		"every address, no TLS":   {Place{Listen: "0.0.0.0:0"}, api.Denied},
		"no address, no TLS":      {Place{Listen: ":0"}, api.Denied},
		"IPv6, no TLS":            {Place{Listen: "[::]:0"}, api.Denied},
		"a foreign address":       {Place{Listen: "192.0.2.1:0"}, api.Unavailable},
		"a long path":             {Place{Listen: "unix:" + filepath.Join(dir, strings.Repeat("x", 100))}, api.Invalid},
		"a certificate alone":     {Place{Listen: "127.0.0.1:0", TLSCert: cert}, api.Invalid},
		"another's key":           {Place{Listen: "127.0.0.1:0", TLSCert: cert, TLSKey: otherKey}, api.Invalid},
		"no certificate":          {Place{Listen: "127.0.0.1:0", TLSCert: key, TLSKey: key}, api.Invalid},
		"no token file":           {Place{Listen: "127.0.0.1:0", TokenFile: filepath.Join(dir, "none")}, api.NotFound},
		"a token for all to read": {Place{Listen: "127.0.0.1:0", TokenFile: file("open", testToken, 0o644)}, api.Denied},
		"a short token":           {Place{Listen: "127.0.0.1:0", TokenFile: file("short", "secret\n", 0o600)}, api.Invalid},
		"an empty token":          {Place{Listen: "127.0.0.1:0", TokenFile: file("empty", "", 0o600)}, api.Invalid},
		"a token of two lines":    {Place{Listen: "127.0.0.1:0", TokenFile: file("two", testToken+"\n"+testToken, 0o600)}, api.Invalid},
		"a long token":            {Place{Listen: "127.0.0.1:0", TokenFile: file("long", strings.Repeat("x", 4097), 0o600)}, api.Invalid},
		"a directory":             {Place{Listen: "127.0.0.1:0", TokenFile: dir}, api.Invalid},
		"a short variable":        {Place{Listen: "127.0.0.1:0", Token: "short"}, api.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			err := New(Options{Client: client}).Serve(t.Context(), c.place)
			if api.KindOf(err) != c.kind || api.HintOf(err) == "" || strings.Contains(fmt.Sprint(err), testToken) {
				t.Errorf("%v of kind %s, want %s", err, api.KindOf(err), c.kind)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	client := newClient(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		place Place
		token string // empty: one is made up
	}{
		"of a file":           {Place{TokenFile: file}, testToken},
		"of a variable":       {Place{Token: " " + testToken + "x\n"}, testToken + "x"},
		"of a file before it": {Place{TokenFile: file, Token: testToken + "x"}, testToken},
		"made up":             {Place{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.place.Listen = "127.0.0.1:0"
			s := serveAt(t, client, c.place, Options{})
			if madeUp := s.token != ""; madeUp != (c.token == "") || madeUp && len(s.token) < 26 {
				t.Errorf("made up: %q", s.token)
			}
			if c.token != "" {
				s.token = c.token
			}
			if got := s.ask("GET", "/v1/hello", nil); got.status != http.StatusOK {
				t.Errorf("status %d: %s", got.status, got.body)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t, "127.0.0.1")
	s := serveAt(t, newClient(t), Place{Listen: "0.0.0.0:0", Token: testToken, TLSCert: cert, TLSKey: key}, Options{})
	s.token = testToken
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	s.url = "https://127.0.0.1:" + port
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	for name, c := range map[string]struct {
		config *tls.Config
		good   bool
	}{
		"1.3":                   {&tls.Config{RootCAs: trusted}, true},
		"1.2":                   {&tls.Config{RootCAs: trusted, MaxVersion: tls.VersionTLS12}, true},
		"1.1":                   {&tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"HTTP/2":                {&tls.Config{RootCAs: trusted, NextProtos: []string{"h2"}}, false},
		"HTTP/2, else HTTP/1.1": {&tls.Config{RootCAs: trusted, NextProtos: []string{"h2", "http/1.1"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s.http = &http.Client{Transport: &http.Transport{TLSClientConfig: c.config, ForceAttemptHTTP2: false}}
			defer s.http.CloseIdleConnections()
			res, err := s.http.Do(s.request("GET", "/v1/hello", nil))
			if c.good != (err == nil) {
				t.Fatalf("%v", err)
			}
			if err == nil {
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK || res.ProtoMajor != 1 {
					t.Errorf("%s, status %d", res.Proto, res.StatusCode)
				}
			}
		})
	}
	s.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1"}}}
	defer s.http.CloseIdleConnections()
	at := "/v1/workspaces/" + s.create().ID()
	if out, last, end := s.frames("POST", at+"/exec", api.ExecRequest{Argv: []string{"echo", "hello"}}).rest(t); out != "hello\n" || last != 'x' {
		t.Errorf("%q, %q %s", out, last, end)
	}
}

func TestConnectionsAreFew(t *testing.T) {
	under, err := net.Listen("unix", filepath.Join(shortDir(t), "s"))
	if err != nil {
		t.Fatal(err)
	}
	l := limit(under, 2)
	accepted := make(chan net.Conn)
	go func() { // ends with the listener
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	for range 3 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", under.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	first := <-accepted
	second := <-accepted
	if len(l.places) != 2 {
		t.Errorf("%d places are taken", len(l.places))
	}
	_ = first.Close()
	_ = first.Close() // leaves one place
	third := <-accepted
	if len(l.places) != 2 {
		t.Errorf("%d places are taken", len(l.places))
	}
	_ = l.Close()
	if conn, open := <-accepted; open {
		t.Errorf("%v was accepted after the end", conn)
	}
	_, _ = second.Close(), third.Close()
}

func TestLogAndMetricsTellNoSecrets(t *testing.T) {
	s := serve(t)
	ws := s.create()
	at := "/v1/workspaces/" + ws.ID()
	s.ask("GET", at+"/files/stat?path=swordfish", nil)
	s.ask("POST", at+"/exec", api.ExecRequest{Argv: []string{"echo", "swordfish"}})
	s.ask("GET", "/swordfish", nil)
	s.ask("GET", "/v1/workspaces/swordfish", nil)
	s.ask("SWORDFISH", "/v1/hello", nil)
	r := s.request("GET", "/v1/hello", nil)
	r.Header.Set("X-Request-Id", "swordfish")
	r.Header.Set("User-Agent", "swordfish")
	if got := s.do(r); got.header.Get("X-Request-Id") == "swordfish" {
		t.Error("the id of a request is the client's")
	}
	page := string(s.ask("GET", "/metrics", nil).body)
	for _, want := range []string{
		`pyro_http_requests_total{method="POST",route="/v1/workspaces/{id}/exec",status="200"} 1`,
		`pyro_http_requests_total{method="GET",route="none",status="404"} 1`,
		`pyro_http_requests_total{method="other",route="none",status="405"} 1`,
		`pyro_http_request_duration_seconds_count{route="/v1/workspaces/{id}/exec"} 1`,
		`pyro_workspaces{state="started"} 1`, `pyro_http_requests_in_flight 1`, `version="test"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	log := s.log.String()
	for _, want := range []string{"route=/v1/workspaces/{id}/exec status=200", "workspace=" + ws.ID(), "request_id="} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	for name, text := range map[string]string{"log": log, "metrics": page} {
		if strings.Contains(strings.ToLower(text), "swordfish") {
			t.Errorf("the %s tells what a client said: %s", name, text)
		}
	}
}

func TestServeEndsWhenNobodyCanBeTold(t *testing.T) {
	want := errors.New("stdout is closed")
	err := New(Options{Client: newClient(t)}).Serve(context.Background(), Place{PrivateIn: shortDir(t), Ready: func(string, string) error { return want }})
	if !errors.Is(err, want) {
		t.Errorf("%v", err)
	}
}
