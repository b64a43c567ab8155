package mcpserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/net/netutil"

	"github.com/pyro-sandbox/pyro/api"
)

const (
	firstStateless = "2026-07-28"     // the first revision without initialize and sessions
	maxBody        = maxLine          // bytes of one message
	sessionIdle    = 30 * time.Minute // after which a session of the old era is forgotten
	headerTime     = 10 * time.Second
	maxHeader      = 64 << 10
	maxConnections = 512
	stopTime       = 2 * time.Second

	versionKey = "io.modelcontextprotocol/protocolVersion"
)

// HTTPOptions say how a server is reached over HTTP.
type HTTPOptions struct {
	Listen    string // host:port
	TokenFile string // of a file with nothing but the token; empty: PYRO_MCP_TOKEN, else one is made up
	NoAuth    bool   // no token; only on a loopback address
	Talk      io.Writer
}

// ServeHTTP serves http://ADDRESS/mcp until ctx ends. The address that it listens on is
// told to o.Talk in one line, and a token that was made up in another.
func (s *Server) ServeHTTP(ctx context.Context, o HTTPOptions) error {
	const op = "serve MCP over HTTP"
	defer s.desk.running.cancelAll()
	token, madeUp, err := findToken(o)
	if err != nil {
		return api.About(op, "", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return &api.Error{Kind: api.Unavailable, Op: op, Hint: "choose another address with --listen", Err: err}
	}
	if o.NoAuth && !isLoopback(listener.Addr()) {
		_ = listener.Close()
		return &api.Error{
			Kind: api.Denied, Op: op, Hint: "listen on 127.0.0.1, or leave --no-auth out",
			Err: fmt.Errorf("%s is not loopback, and without a token everybody who reaches it could run commands", listener.Addr()),
		}
	}
	handler := s.Handler()
	if !o.NoAuth {
		handler = wantToken(token, handler)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", handler)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTime, MaxHeaderBytes: maxHeader, IdleTimeout: sessionIdle}
	if madeUp {
		fmt.Fprintf(o.Talk, "token: %s\n", token)
	}
	fmt.Fprintf(o.Talk, "listening on http://%s/mcp\n", listener.Addr())
	go func() { // ends soon after ctx
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	}()
	if err := server.Serve(netutil.LimitListener(listener, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
		return &api.Error{Kind: api.Internal, Op: op, Err: err}
	}
	return nil
}

// Handler serves both eras of the protocol on one path. The library takes requests of the
// new era only without sessions, and without them cannot cancel or ask clients of the old
// one, so each era has a handler of its own. Who may call it is not its business.
func (s *Server) Handler() http.Handler {
	get := func(*http.Request) *mcp.Server { return s.mcp }
	modern := mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{
		Stateless:                    true,
		PropagateRequestCancellation: true, // a closed request cancels its call
		MaxRequestBodyBytes:          maxBody,
		Logger:                       s.log,
	})
	legacy := mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{
		SessionTimeout: sessionIdle, MaxRequestBodyBytes: maxBody, Logger: s.log,
	})
	return sameOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isModern(r) {
			modern.ServeHTTP(w, r)
			return
		}
		legacy.ServeHTTP(w, r)
	}))
}

// isModern reports whether a request belongs to the era without sessions: by its header,
// or, where that is missing, by the version in the body, so that it gets the error that
// the specification has for a missing header.
func isModern(r *http.Request) bool {
	if v := r.Header.Get("MCP-Protocol-Version"); v != "" {
		return v >= firstStateless
	}
	if r.Method != http.MethodPost || r.Header.Get("Mcp-Session-Id") != "" {
		return false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	if err != nil {
		return false
	}
	var message struct {
		Params struct {
			Meta map[string]json.RawMessage `json:"_meta"`
		} `json:"params"`
	}
	if json.Unmarshal(body, &message) != nil {
		return false
	}
	_, found := message.Params.Meta[versionKey]
	return found
}

// sameOrigin refuses what a page of a browser may have sent. The library looks at Host
// alone, and net/http's CrossOriginProtection lets GET through.
func sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" {
			u, err := url.Parse(origin)
			if err != nil || u.Host != r.Host {
				http.Error(w, "forbidden: the request comes from another origin", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// wantToken lets those in who show the token in the header Authorization, as RFC 6750,
// section 2.1 has it. The comparison takes the same time whatever is shown.
func wantToken(token string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(shown)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "unauthorized: send the header Authorization: Bearer TOKEN", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// minToken is how many characters a token must have, so that it is not guessed.
const minToken = 16

func findToken(o HTTPOptions) (token string, madeUp bool, err error) {
	from := "PYRO_MCP_TOKEN"
	switch {
	case o.NoAuth:
		return "", false, nil
	case o.TokenFile != "":
		from = o.TokenFile
		raw, err := os.ReadFile(o.TokenFile)
		if err != nil {
			return "", false, &api.Error{Kind: api.NotFound, Hint: "name a file that you can read", Err: err}
		}
		token = strings.TrimSpace(string(raw))
	default:
		token = strings.TrimSpace(os.Getenv("PYRO_MCP_TOKEN"))
		if token == "" {
			return rand.Text(), true, nil
		}
	}
	if len(token) < minToken {
		return "", false, &api.Error{
			Kind: api.Invalid, Hint: "make one with `openssl rand -hex 32`",
			Err: fmt.Errorf("the token in %s has %d characters, at least %d are wanted", from, len(token), minToken),
		}
	}
	return token, false, nil
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
