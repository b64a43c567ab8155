package httpapi

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// Options say what is served.
type Options struct {
	Client  *pyro.Client // whose workspaces are served
	Version string

	// Doctor looks at this machine. It is handed in, since it needs the machine and not
	// only a client; nil: the route is api.Unsupported.
	Doctor func(context.Context, api.DoctorRequest) (*api.Doctor, error)

	MCP http.Handler // serves /mcp; nil: nothing does
	Log *slog.Logger // a line for each request; nil: none
}

// Server is the API, without the place where it is reached. It may be served once.
type Server struct {
	Options
	metrics *metrics
	known   known
	pulse   time.Duration // of leases

	ending chan struct{} // closed when no new work is taken: leases end, and what has no end of its own
	end    func()
	busy   atomic.Int64 // requests that are under way
}

// New makes a server. It opens and starts nothing.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Options: o, ending: make(chan struct{}), pulse: pulse}
	s.end = sync.OnceFunc(func() { close(s.ending) })
	s.metrics = newMetrics(s)
	return s
}

// door says who is let in, and how much each may ask.
type door struct {
	scheme string                 // http or https, as a browser would name it
	token  string                 // empty: whoever can connect may ask
	host   func(host string) bool // knows the names of this server; nil: any name will do
	calls  *rate.Limiter          // nil: as many as come
}

// handler is what answers at a door.
func (s *Server) handler(d door) http.Handler {
	mux := http.NewServeMux()
	known, exact := make(map[string]bool), make(map[string]bool)
	for _, r := range routes() {
		known[r.method], exact[r.path] = true, true
		mux.Handle(r.method+" "+r.path, s.on(r))
	}
	t := &table{mux: mux, methods: append(slices.Sorted(maps.Keys(known)), http.MethodHead), exact: exact}
	return s.watched(guarded(d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t.has(r) {
			mux.ServeHTTP(w, r)
			return
		}
		fail(w, t.notServed(r))
	})))
}

// table is what is served.
type table struct {
	mux     *http.ServeMux
	methods []string
	exact   map[string]bool // paths without wildcards: another route of that form is not meant
}

func (t *table) has(r *http.Request) bool {
	_, found := t.mux.Handler(r)
	if found == "" || !isClean(r.URL.Path) || !isClean(r.URL.EscapedPath()) {
		return false
	}
	return !t.exact[r.URL.Path] || strings.HasSuffix(found, " "+r.URL.Path)
}

// on is the handler of one route.
func (s *Server) on(r route) http.Handler {
	parameters := parametersOf(r.query)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		note(w, r.path, req.PathValue("id"))
		ctx, cancel := context.WithCancelCause(context.WithValue(req.Context(), routeKey{}, &r))
		defer cancel(nil)
		if r.endless {
			go func() { // ends with the request
				select {
				case <-s.ending:
					cancel(errStopping)
				case <-ctx.Done():
				}
			}()
		}
		req = req.WithContext(ctx)
		err := r.admit(req)
		if err == nil && !r.open {
			err = checkQuery(parameters, req)
		}
		if err != nil {
			fail(w, err)
			return
		}
		req.Body = r.bound(w, req)
		r.serve(s, w, req)
	})
}

// routeKey is the key of a context's route.
type routeKey struct{}

func routeOf(r *http.Request) *route {
	of, _ := r.Context().Value(routeKey{}).(*route)
	return of
}

var errStopping = errors.New("the server is stopping")

// isClean reports whether a path has no empty, "." or ".." parts: the mux would send
// clients somewhere else.
func isClean(p string) bool { return strings.HasPrefix(p, "/") && path.Clean(p) == p }

// notServed says why nothing answers: there is nothing, or it does not answer to that
// method.
func (t *table) notServed(r *http.Request) error {
	var allow []string
	for _, method := range t.methods {
		other := r.Clone(r.Context())
		if other.Method = method; t.has(other) {
			allow = append(allow, method)
		}
	}
	if allow == nil {
		return &api.Error{
			Kind: api.NotFound, Hint: "GET /v1/openapi.json names all there is",
			Err: fmt.Errorf("%s is not served here", clip(r.URL.Path)),
		}
	}
	return &refusal{http.StatusMethodNotAllowed, &api.Error{
		Kind: api.Invalid, Hint: "use " + strings.Join(allow, ", "),
		Err: fmt.Errorf("%s does not answer to %s", clip(r.URL.Path), clip(r.Method)),
	}}
}

// openAPI describes the routes. It is made from them, see openapi_test.go.
//
//go:embed openapi.json
var openAPI []byte

func (s *Server) serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // a client that went away is no error of ours
}

func (s *Server) serveMCP(w http.ResponseWriter, r *http.Request) {
	if s.MCP == nil {
		fail(w, &api.Error{Kind: api.Unsupported, Hint: "start `pyro serve` without --no-mcp", Err: errors.New("this server does not speak MCP")})
		return
	}
	s.MCP.ServeHTTP(w, r)
}
