package httpapi

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/gate"
)

const (
	headerTime     = 10 * time.Second // for the headers of a request, from the start of its connection
	maxHeader      = 64 << 10         // bytes
	connectionIdle = 2 * time.Minute  // between two requests on a connection
	maxConnections = 1024             // more wait to be accepted; a stream has one to itself

	// GraceTime is how long calls may go on when a server ends.
	GraceTime = 10 * time.Second
	cutTime   = 3 * time.Second // for those that were cut then to say so

	// DefaultRate is how many requests a second are answered over TCP, unless one says
	// otherwise.
	DefaultRate = 1000
)

// TokenVariable names the variable with the token that callers must show.
const TokenVariable = "PYRO_SERVE_TOKEN"

// Place says where a server is reached, and by whom.
type Place struct {
	Listen    string // unix:PATH, or HOST:PORT; port 0 is any free one
	PrivateIn string // in place of Listen: a socket in a new directory in this one

	// Of TCP alone: whoever calls shows a token, that of the file, else Token, else one that
	// is made up; and TLS is needed but for loopback.
	TokenFile, Token string
	TLSCert, TLSKey  string  // files in PEM
	Rate             float64 // requests a second; 0: DefaultRate, negative: as many as come

	// Ready is told when callers are taken: the URL, and a token that was made up.
	Ready func(url, madeUp string) error
}

// Serve serves until ctx ends. Then nobody is let in any more, leased workspaces are
// removed, calls may go on for GraceTime, and what is left then is cut. The error is
// api.Invalid for a place that is none, api.Unavailable or api.Exists for one that cannot be
// had, and api.Denied where others could read what is said.
func (s *Server) Serve(ctx context.Context, p Place) error {
	const op = "serve"
	at, err := s.open(ctx, p)
	if err != nil {
		return api.About(op, "", err)
	}
	defer at.close()
	base, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(errStopping)
	server := newHTTPServer(s.handler(at.door), s.Log)
	server.BaseContext = func(net.Listener) context.Context { return base }
	ended := make(chan error, 1)
	go func() { // ends with the server, which is shut down below
		ended <- serveOn(server, at)
	}()
	if err := p.Ready(at.url, at.madeUp); err != nil {
		_ = server.Close()
		return api.About(op, "", err)
	}
	select {
	case err := <-ended:
		return &api.Error{Kind: api.Internal, Op: op, Err: err}
	case <-ctx.Done():
		s.shutDown(context.WithoutCancel(ctx), server, cut)
		return nil
	}
}

func serveOn(server *http.Server, at *entrance) error {
	l := net.Listener(limit(at.listener, maxConnections))
	if at.identity != nil {
		l = tls.NewListener(l, tlsConfig(at.identity))
	}
	return server.Serve(l)
}

func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, MaxHeaderBytes: maxHeader, IdleTimeout: connectionIdle, Protocols: &protocols,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what clients do wrong
	}
}

// entrance is a place where the server can be reached.
type entrance struct {
	door     door
	listener net.Listener
	identity *tls.Certificate
	url      string
	madeUp   string // a token
	close    func()
}

func (s *Server) open(ctx context.Context, p Place) (*entrance, error) {
	if p.PrivateIn != "" {
		return openPrivate(ctx, p.PrivateIn)
	}
	if path, ok := strings.CutPrefix(p.Listen, "unix:"); ok {
		return openUnix(ctx, strings.TrimPrefix(path, "//"))
	}
	return openTCP(ctx, p)
}

// openUnix needs no token: whoever can connect is the owner.
func openUnix(ctx context.Context, path string) (*entrance, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	l, remove, err := listenUnix(ctx, path)
	if err != nil {
		return nil, err
	}
	return &entrance{
		door: door{scheme: "http"}, listener: l, url: "unix://" + path,
		close: func() { _ = l.Close(); remove() },
	}, nil
}

// privateName begins the names of directories with the socket of one caller.
const privateName = "serve-"

// openPrivate makes a socket whose name nobody knows before.
func openPrivate(ctx context.Context, in string) (*entrance, error) {
	sweep(ctx, in)
	dir, err := os.MkdirTemp(in, privateName)
	if err != nil {
		return nil, unreachable(err)
	}
	at, err := openUnix(ctx, filepath.Join(dir, "api.sock"))
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	remove := at.close
	at.close = func() { remove(); _ = os.RemoveAll(dir) }
	return at, nil
}

// leftAfter is how old a directory is that a killed server has left: a younger one may be
// just being made.
const leftAfter = time.Minute

// sweep removes what killed servers have left. What cannot be removed is left to the next.
func sweep(ctx context.Context, in string) {
	left, _ := filepath.Glob(filepath.Join(in, privateName+"*"))
	for _, dir := range left {
		info, err := os.Lstat(dir)
		if err == nil && info.IsDir() && time.Since(info.ModTime()) > leftAfter && !isServed(ctx, filepath.Join(dir, "api.sock")) {
			_ = os.RemoveAll(dir)
		}
	}
}

func openTCP(ctx context.Context, p Place) (*entrance, error) {
	token, madeUp, err := gate.FindToken(p.TokenFile, TokenVariable, p.Token)
	if err != nil {
		return nil, err
	}
	identity, err := loadIdentity(p.TLSCert, p.TLSKey)
	if err != nil {
		return nil, err
	}
	l, err := listenTCP(ctx, p.Listen, identity)
	if err != nil {
		return nil, err
	}
	at := &entrance{door: door{scheme: "http", token: token}, listener: l, identity: identity, close: func() { _ = l.Close() }}
	at.door.host = knownHosts(p.Listen, nil)
	if identity != nil {
		at.door.scheme, at.door.host = "https", knownHosts(p.Listen, identity.Leaf)
	}
	at.url = at.door.scheme + "://" + l.Addr().String()
	if madeUp {
		at.madeUp = token
	}
	if calls := rateOf(p); calls > 0 {
		at.door.calls = rate.NewLimiter(rate.Limit(calls), max(1, int(calls)))
	}
	return at, nil
}

func rateOf(p Place) float64 {
	if p.Rate == 0 {
		return DefaultRate
	}
	return p.Rate
}

// shutDown ends a server: leases and followers at once, calls when they are done or
// GraceTime is over.
func (s *Server) shutDown(ctx context.Context, server *http.Server, cut context.CancelCauseFunc) {
	s.end()
	grace, cancel := context.WithTimeout(ctx, GraceTime)
	defer cancel()
	_ = server.Shutdown(grace)
	s.await(grace) // what was taken over from HTTP, too
	cut(errStopping)
	last, cancel := context.WithTimeout(ctx, cutTime)
	defer cancel()
	s.await(last)
	_ = server.Close()
}

// await returns when no request is under way, or ctx ends.
func (s *Server) await(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.busy.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
