package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/net/netutil"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/gate"
)

const (
	firstStateless = "2026-07-28"     // the first revision without initialize and sessions
	sessionIdle    = 30 * time.Minute // after which a session of the old era is forgotten
	maxSessions    = 1024             // of the old era, at a time

	headerTime     = 10 * time.Second // for the headers of a request, from the start of its connection
	maxHeader      = 64 << 10
	connectionIdle = 2 * time.Minute // between two requests on a connection
	maxConnections = 512             // more wait to be accepted

	tokenVariable = "PYRO_MCP_TOKEN"

	versionHeader = "MCP-Protocol-Version"
	sessionHeader = "Mcp-Session-Id"
	versionKey    = "io.modelcontextprotocol/protocolVersion"
)

// HTTPOptions say how a server is reached over HTTP.
type HTTPOptions struct {
	Listen    string    // host:port; port 0 is any free one
	TokenFile string    // of a file with nothing but the token; empty: PYRO_MCP_TOKEN, else one is made up
	NoAuth    bool      // no token; only on a loopback address
	Talk      io.Writer // is told the address, in one line, and a token that was made up in another
}

// ServeHTTP serves http://ADDRESS/mcp until ctx ends. Calls that are under way then are
// canceled, and answered if that takes no more than a few seconds. The error is
// api.Invalid for an address that is none, api.Unavailable for one that cannot be had, and
// api.Denied for no token where others could call.
func (s *Server) ServeHTTP(ctx context.Context, o HTTPOptions) error {
	const op = "serve MCP over HTTP"
	defer s.stop(stopTime)
	var token string
	var madeUp bool
	if !o.NoAuth {
		var err error
		if token, madeUp, err = gate.FindToken(o.TokenFile, tokenVariable, os.Getenv(tokenVariable)); err != nil {
			return api.About(op, "", err)
		}
	}
	listener, err := listen(ctx, o)
	if err != nil {
		return api.About(op, "", err)
	}
	handler := s.Handler()
	if !o.NoAuth {
		handler = wantToken(token, handler)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", handler)
	server := newHTTPServer(mux, s.log)
	if madeUp {
		fmt.Fprintf(o.Talk, "token: %s\n", token)
	}
	fmt.Fprintf(o.Talk, "listening on http://%s/mcp\n", listener.Addr())
	ended := make(chan error, 1)
	go func() { // ends with the server, which is shut down below
		ended <- server.Serve(netutil.LimitListener(listener, maxConnections))
	}()
	select {
	case err := <-ended:
		return &api.Error{Kind: api.Internal, Op: op, Err: err}
	case <-ctx.Done():
		s.shutDown(context.WithoutCancel(ctx), server)
		return nil
	}
}

func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, MaxHeaderBytes: maxHeader, IdleTimeout: connectionIdle,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

func listen(ctx context.Context, o HTTPOptions) (net.Listener, error) {
	if err := gate.CheckAddress(o.Listen); err != nil {
		return nil, &api.Error{Kind: api.Invalid, Hint: "give --listen an address and port such as 127.0.0.1:8765", Err: err}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, &api.Error{Kind: api.Unavailable, Hint: "choose another address with --listen; port 0 is any free one", Err: err}
	}
	if o.NoAuth && !gate.IsLoopback(listener.Addr()) {
		_ = listener.Close()
		return nil, &api.Error{
			Kind: api.Denied, Hint: "listen on 127.0.0.1, or leave --no-auth out",
			Err: fmt.Errorf("%s is not loopback, and without a token everybody who reaches it could run commands", listener.Addr()),
		}
	}
	return listener, nil
}

// shutDown ends a server in stopTime: calls first, which are answered, then the streams
// that old clients keep open.
func (s *Server) shutDown(ctx context.Context, server *http.Server) {
	grace, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	s.Close()
	if server.Shutdown(grace) != nil {
		_ = server.Close()
	}
}

// Handler serves both eras of the protocol on one path. The library takes requests of the
// new era only without sessions, and without them cannot cancel or ask clients of the old
// one, so each era has a handler of its own. Who may call it is not its business, but for
// what a browser sends: that is refused.
func (s *Server) Handler() http.Handler {
	s.begin()
	<-s.ready // the library looks at schemas before any middleware does
	get := func(*http.Request) *mcp.Server { return s.mcp }
	modern := mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{
		Stateless:                    true,
		PropagateRequestCancellation: true, // a closed request cancels its call
		MaxRequestBodyBytes:          maxBody,
		Logger:                       s.log,
	})
	legacy := limitSessions(maxSessions, s.sessions, mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{
		SessionTimeout: sessionIdle, MaxRequestBodyBytes: maxBody, Logger: s.log,
	}))
	return fromPrograms(readBody(func(w http.ResponseWriter, r *http.Request, body []byte) {
		if isModern(r, body) {
			modern.ServeHTTP(w, r)
			return
		}
		legacy.ServeHTTP(w, r)
	}))
}

// sessions counts those of the old era over HTTP, which alone have an id.
func (s *Server) sessions() int {
	n := 0
	for session := range s.mcp.Sessions() {
		if session.ID() != "" {
			n++
		}
	}
	return n
}

// isModern reports whether a request belongs to the era without sessions: by its header,
// or, where that is missing, by the version in the body, so that it gets the error that
// the specification has for a missing header.
func isModern(r *http.Request, body []byte) bool {
	if v := r.Header.Get(versionHeader); v != "" {
		return v >= firstStateless
	}
	if r.Method != http.MethodPost || r.Header.Get(sessionHeader) != "" {
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
