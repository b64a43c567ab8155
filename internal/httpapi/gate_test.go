package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

const testToken = "0123456789abcdef0123"

func TestWhoIsLetIn(t *testing.T) {
	s := serveAt(t, newClient(t), Place{Listen: "127.0.0.1:0", Token: testToken}, Options{
		MCP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, struct{}{}, nil) }),
	})
	s.token = testToken
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"the right token":              {func(*http.Request) {}, 200},
		"the scheme in other case":     {func(r *http.Request) { r.Header.Set("Authorization", "bEARER "+testToken) }, 200},
		"no token":                     {func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"an empty token":               {func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 401},
		"a wrong token":                {func(r *http.Request) { r.Header.Set("Authorization", "Bearer 0123456789abcdef0124") }, 401},
		"the beginning of the token":   {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+testToken[:16]) }, 401},
		"more than the token":          {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+testToken+"0") }, 401},
		"another scheme":               {func(r *http.Request) { r.Header.Set("Authorization", "Basic "+testToken) }, 401},
		"the token without a scheme":   {func(r *http.Request) { r.Header.Set("Authorization", testToken) }, 401},
		"the token as a user's name":   {func(r *http.Request) { r.SetBasicAuth("x", testToken) }, 401},
		"the token in the query":       {func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "access_token=" + testToken }, 401},
		"the token in both":            {func(r *http.Request) { r.URL.RawQuery = "access_token=" + testToken }, 400},
		"the token in a cookie":        {func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set("Cookie", "token="+testToken) }, 401},
		"a wrong token before it":      {func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer x", "Bearer " + testToken} }, 401},
		"no token, nothing there":      {func(r *http.Request) { r.Header.Del("Authorization"); r.URL.Path = "/nothing" }, 401},
		"no token for metrics":         {func(r *http.Request) { r.Header.Del("Authorization"); r.URL.Path = "/metrics" }, 401},
		"no token for MCP":             {func(r *http.Request) { r.Header.Del("Authorization"); r.URL.Path = "/mcp" }, 401},
		"no token for the description": {func(r *http.Request) { r.Header.Del("Authorization"); r.URL.Path = "/v1/openapi.json" }, 401},
		"MCP":                          {func(r *http.Request) { r.URL.Path = "/mcp" }, 200},
		"another host":                 {func(r *http.Request) { r.Host = "evil.example" }, 403},
		"a host that begins like ours": {func(r *http.Request) { r.Host = "127.0.0.1.evil.example" }, 403},
		"a rebound page":               {func(r *http.Request) { r.Host = "evil.example"; r.Header.Set("Origin", "http://evil.example") }, 403},
		"localhost":                    {func(r *http.Request) { r.Host = strings.Replace(r.URL.Host, "127.0.0.1", "localhost", 1) }, 200},
		"another origin":               {func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403},
		"the origin null":              {func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
		"an origin on another port":    {func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:1") }, 403},
		"an origin that is none":       {func(r *http.Request) { r.Header.Set("Origin", "http://%zz") }, 403},
		"the origin of another scheme": {func(r *http.Request) { r.Header.Set("Origin", "https://"+r.URL.Host) }, 403},
		"two origins":                  {func(r *http.Request) { r.Header["Origin"] = []string{"http://" + r.URL.Host, "http://evil.example"} }, 403},
		"its own origin":               {func(r *http.Request) { r.Header.Set("Origin", "http://"+r.URL.Host) }, 200},
		"another origin's preflight":   {func(r *http.Request) { r.Method = "OPTIONS"; r.Header.Set("Origin", "http://evil.example") }, 403},
		"a preflight":                  {func(r *http.Request) { r.Method = "OPTIONS" }, 405},
		"a simple POST":                {func(r *http.Request) { r.Method = "POST"; r.Header.Set("Content-Type", "text/plain") }, 415},
		"a form": {func(r *http.Request) {
			r.Method = "POST"
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}, 415},
		"no content type":          {func(r *http.Request) { r.Method = "POST" }, 415},
		"a content type like ours": {func(r *http.Request) { r.Method = "POST"; r.Header.Set("Content-Type", "application/jsonp") }, 415},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.request(http.MethodGet, "/v1/workspaces", nil)
			c.change(r)
			got := s.do(r)
			if got.status != c.status {
				t.Errorf("status %d, want %d: %s", got.status, c.status, got.body)
			}
			for name := range got.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("it answers browsers: %s", name)
				}
			}
			if c.status == http.StatusUnauthorized {
				if e := got.failure(t); e.Kind != api.Denied || got.header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(string(got.body), testToken) {
					t.Errorf("refused with %v %q", got.header, got.body)
				}
			}
		})
	}
	if strings.Contains(s.log.String(), testToken) {
		t.Error("the token is in the log")
	}
}

// TestRawRequests sends what no library would. Whatever is refused ends the connection, so
// that what follows is not taken for another request.
func TestRawRequests(t *testing.T) {
	s := serveAt(t, newClient(t), Place{Listen: "127.0.0.1:0", Token: testToken}, Options{})
	const auth = "Authorization: Bearer " + testToken + "\r\n"
	const host = "Host: 127.0.0.1\r\n"
	const inner = "GET /v1/hello HTTP/1.1\r\n" + host + auth + "\r\n"
	for name, c := range map[string]struct {
		raw    string
		status []int // of the answers, until the connection ends
	}{
		"a good one":                 {"GET /v1/hello HTTP/1.1\r\n" + host + auth + "Connection: close\r\n\r\n", []int{200}},
		"two Host headers":           {"GET /v1/hello HTTP/1.1\r\n" + host + "Host: evil.example\r\n" + auth + "\r\n", []int{400}},
		"no Host header":             {"GET /v1/hello HTTP/1.1\r\n" + auth + "\r\n", []int{400}},
		"an empty Host header":       {"GET /v1/hello HTTP/1.1\r\nHost:\r\n" + auth + "\r\n", []int{403}},
		"absolute form, other host":  {"GET http://evil.example/v1/hello HTTP/1.1\r\n" + host + auth + "\r\n", []int{403}},
		"absolute form, ours":        {"GET http://127.0.0.1/v1/hello HTTP/1.1\r\nHost: evil.example\r\n" + auth + "Connection: close\r\n\r\n", []int{200}},
		"CONNECT":                    {"CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n" + auth + "\r\n", []int{403}},
		"CONNECT to us":              {"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n" + auth + "Connection: close\r\n\r\n", []int{404}},
		"a user in the host":         {"GET /v1/hello HTTP/1.1\r\nHost: 127.0.0.1@evil.example\r\n" + auth + "\r\n", []int{400}},
		"a port that is none":        {"GET /v1/hello HTTP/1.1\r\nHost: 127.0.0.1:x\r\n" + auth + "\r\n", []int{403}},
		"a length and chunks":        {"POST /v1/vms/reap HTTP/1.1\r\n" + host + auth + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner, []int{200, 200}}, // chunks count, as RFC 9112, section 6.3 has it
		"two lengths":                {"POST /v1/vms/reap HTTP/1.1\r\n" + host + auth + "Content-Length: 0\r\nContent-Length: 4\r\n\r\n" + inner, []int{400}},
		"chunks in another coding":   {"POST /v1/vms/reap HTTP/1.1\r\n" + host + auth + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + inner, []int{501}},
		"chunks twice":               {"POST /v1/vms/reap HTTP/1.1\r\n" + host + auth + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner, []int{501}},
		"a space before the colon":   {"POST /v1/vms/reap HTTP/1.1\r\n" + host + auth + "Content-Length : 4\r\n\r\n" + inner, []int{400}},
		"a folded header":            {"GET /v1/hello HTTP/1.1\r\n" + host + "X-A: b\r\n\tc\r\n" + auth + "Connection: close\r\n\r\n", []int{200}},
		"a zero byte":                {"GET /v1/hello\x00 HTTP/1.1\r\n" + host + auth + "\r\n", []int{400}},
		"a zero byte in a header":    {"GET /v1/hello HTTP/1.1\r\n" + host + auth + "X: \x00\r\n\r\n", []int{400}},
		"another protocol":           {"GET /v1/hello HTTP/9.9\r\n" + host + auth + "\r\n", []int{505}},
		"HTTP/2 right away":          {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{403}},
		"an upgrade to HTTP/2":       {"GET /v1/hello HTTP/1.1\r\n" + host + auth + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", []int{400}},
		"TLS to plain":               {"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x00", 160), []int{400}},
		"long headers":               {"GET /v1/hello HTTP/1.1\r\n" + host + auth + "X: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n", []int{431}},
		"a long path":                {"GET /" + strings.Repeat("x", 2*maxHeader) + " HTTP/1.1\r\n" + host + auth + "\r\n", []int{431}},
		"an asterisk":                {"OPTIONS * HTTP/1.1\r\n" + host + auth + "Connection: close\r\n\r\n", []int{200}},
		"a path above":               {"GET /v1/workspaces/../../v1/hello HTTP/1.1\r\n" + host + auth + "Connection: close\r\n\r\n", []int{404}},
		"refused, and another":       {"GET /v1/hello HTTP/1.1\r\n" + host + "\r\n" + inner, []int{401}},
		"a token that hides another": {"GET /v1/hello HTTP/1.1\r\n" + host + "Authorization: Bearer\r\n" + auth + "\r\n", []int{401}},
	} {
		t.Run(name, func(t *testing.T) {
			k := s.dial()
			if _, err := io.WriteString(k, c.raw); err != nil {
				t.Fatal(err)
			}
			half := k.Conn.(interface{ CloseWrite() error })
			_ = half.CloseWrite() // nothing more comes; a connection that is kept ends with that
			var got []int
			for {
				res, err := http.ReadResponse(k.in, nil)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				got = append(got, res.StatusCode)
			}
			if !slices.Equal(got, c.status) {
				t.Errorf("answers %v, want %v", got, c.status)
			}
		})
	}
}

func TestKnownHosts(t *testing.T) {
	leaf := &x509.Certificate{DNSNames: []string{"pyro.example", "*.dev.example"}}
	for _, c := range []struct {
		asked, host string
		leaf        *x509.Certificate
		known       bool
	}{
		{"127.0.0.1:0", "127.0.0.1:8700", nil, true},
		{"127.0.0.1:0", "127.0.0.1", nil, true},
		{"127.0.0.1:0", "[::1]:8700", nil, true},
		{"127.0.0.1:0", "[::1]", nil, true},
		{"127.0.0.1:0", "LocalHost:1", nil, true},
		{"127.0.0.1:0", "localhost.", nil, false},
		{"127.0.0.1:0", "", nil, false},
		{"127.0.0.1:0", ":80", nil, false},
		{"127.0.0.1:0", "127.1", nil, false},
		{"127.0.0.1:0", "0x7f.1", nil, false},
		{"127.0.0.1:0", "evil.example:8700", nil, false},
		{"127.0.0.1:0", "pyro.example", nil, false},
		{"127.0.0.1:0", "127.0.0.1:99999", nil, false},
		{"box:8700", "box:1", nil, true},
		{"box:8700", "boxer", nil, false},
		{":8700", "", leaf, false},
		{"0.0.0.0:8700", "pyro.example:8700", leaf, true},
		{"0.0.0.0:8700", "a.dev.example", leaf, true},
		{"0.0.0.0:8700", "a.b.dev.example", leaf, false},
		{"0.0.0.0:8700", "evil.example", leaf, false},
	} {
		if got := knownHosts(c.asked, c.leaf)(c.host); got != c.known {
			t.Errorf("%q at %s: %v", c.host, c.asked, got)
		}
	}
}

func TestGuessesAreHeldUpAndOthersAreNot(t *testing.T) {
	s := serveAt(t, newClient(t), Place{Listen: "127.0.0.1:0", Token: testToken}, Options{})
	waits := 0
	for range 20 * guesses {
		if got := s.ask("GET", "/v1/hello", nil); got.status == http.StatusTooManyRequests {
			waits++
			if e := got.failure(t); e.Kind != api.Unavailable || got.header.Get("Retry-After") == "" {
				t.Errorf("refused with %v %+v", got.header, e)
			}
		}
	}
	if waits == 0 {
		t.Error("as many guesses as come are looked at")
	}
	s.token = testToken
	if got := s.ask("GET", "/v1/hello", nil); got.status != http.StatusOK {
		t.Errorf("who has the token waits: %d %s", got.status, got.body)
	}
}

func TestRate(t *testing.T) {
	client := newClient(t)
	for name, c := range map[string]struct {
		place Place
		waits bool
	}{
		"few a second":       {Place{Listen: "127.0.0.1:0", Rate: 1}, true},
		"as many as come":    {Place{Listen: "127.0.0.1:0", Rate: -1}, false},
		"on the unix socket": {Place{PrivateIn: shortDir(t), Rate: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveAt(t, client, c.place, Options{})
			waits := 0
			for range 20 {
				switch got := s.ask("GET", "/v1/hello", nil); got.status {
				case http.StatusOK:
				case http.StatusTooManyRequests:
					waits++
				default:
					t.Errorf("status %d: %s", got.status, got.body)
				}
			}
			if (waits > 0) != c.waits {
				t.Errorf("%d of 20 were told to wait", waits)
			}
		})
	}
}

func TestBombsAreNotUnpacked(t *testing.T) {
	s := serve(t)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, &endless{text: strings.Repeat("\x00", 4096)}, 64<<20); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for _, coding := range []string{"gzip", "deflate", "br", "gzip, gzip", ""} {
		r := s.request("POST", "/v1/workspaces", bomb.String())
		r.Header.Set("Content-Encoding", coding)
		want := http.StatusUnsupportedMediaType
		if coding == "" {
			want = http.StatusBadRequest
		}
		if got := s.do(r); got.status != want {
			t.Errorf("%q: status %d, want %d: %s", coding, got.status, want, got.body)
		}
	}
}
