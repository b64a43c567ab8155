package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// proxy passes a request on to the supervisor of its workspace. Where none answers, and the
// route has another source, that one does.
func (s *Server) proxy(w http.ResponseWriter, r *http.Request) {
	ws, err := s.known.get(r.Context(), s.Client, r.PathValue("id"))
	if err != nil {
		fail(w, err)
		return
	}
	forward := &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     ws.way,
		FlushInterval: -1, // output is passed on as it comes
		BufferPool:    &buffers,
		ErrorLog:      silence,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			s.known.heed(ws.ID(), err)
			notForwarded(w, r, ws.Workspace, err)
		},
	}
	forward.ServeHTTP(w, r)
}

// silence is the log of a proxy: what goes wrong with a request is in its answer.
var silence = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)

// rewrite makes the request that a supervisor gets. Of the client's headers it needs few,
// and its token is none of its business.
func rewrite(p *httputil.ProxyRequest) {
	headers := make(http.Header)
	for _, name := range []string{"Content-Type", "Connection", "Upgrade"} {
		if v := p.Out.Header[name]; v != nil {
			headers[name] = v
		}
	}
	headers.Set("User-Agent", "") // none
	p.Out.Header = headers
	path := supervisorPath(p.In)
	p.Out.URL = &url.URL{Scheme: "http", Host: "pyro", Path: path, RawPath: path, RawQuery: p.In.URL.RawQuery}
	if plain, err := url.PathUnescape(path); err == nil {
		p.Out.URL.Path = plain
	}
	p.Out.Host = "pyro"
}

// supervisorPath is where a supervisor has what a route is about, escaped.
func supervisorPath(r *http.Request) string {
	rest, _ := strings.CutPrefix(routeOf(r).path, "/v1/workspaces/{id}")
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			parts[i] = url.PathEscape(r.PathValue(strings.Trim(part, "{}")))
		}
	}
	return "/v1" + strings.Join(parts, "/")
}

// notForwarded answers where the supervisor did not.
func notForwarded(w http.ResponseWriter, r *http.Request, ws *pyro.Workspace, err error) {
	var long *http.MaxBytesError
	recorded := routeOf(r).stopped
	switch {
	case errors.As(err, &long):
		fail(w, tooLong(long.Limit))
	case context.Cause(r.Context()) == errStopping:
		fail(w, &api.Error{Kind: api.Unavailable, Hint: "try again; workspaces live on without the server", Err: errStopping})
	case recorded != nil && r.Context().Err() == nil && (errors.Is(err, api.Conflict) || errors.Is(err, api.Unavailable)):
		recorded(ws, w, r)
	case errors.Is(err, api.Unavailable), api.KindOf(err) == api.Internal:
		fail(w, &refusal{http.StatusBadGateway, gone(ws, err)})
	default:
		fail(w, err)
	}
}

// gone is the error where a supervisor went away in the middle of a request.
func gone(ws *pyro.Workspace, err error) error {
	if errors.Is(err, api.Unavailable) {
		return err
	}
	return &api.Error{
		Kind: api.Unavailable, Op: "use workspace", ID: ws.ID(), Hint: "`pyro workspace status " + ws.ID() + "` shows what became of it",
		Err: fmt.Errorf("its supervisor did not answer: %w", err),
	}
}

// bufferSize is what is passed on at once, in bytes.
const bufferSize = 64 << 10

var buffers bufferPool

type bufferPool struct{ sync.Pool }

// Get implements httputil.BufferPool.
func (p *bufferPool) Get() []byte {
	if buf, ok := p.Pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

// Put implements httputil.BufferPool.
func (p *bufferPool) Put(buf []byte) { p.Pool.Put((*[bufferSize]byte)(buf)) }
