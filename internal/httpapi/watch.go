package httpapi

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// noRoute is the route of what no route answered.
const noRoute = "none"

// watched counts and logs every request. What clients chose is in neither, but for the id
// of a workspace: no query, no body, no header.
func (s *Server) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.busy.Add(1)
		defer s.busy.Add(-1)
		began := time.Now()
		seen := &seen{ResponseWriter: w, control: http.NewResponseController(w), route: noRoute, request: rand.Text()[:16]}
		seen.Header().Set("X-Request-Id", seen.request)
		_ = seen.control.SetWriteDeadline(time.Time{}) // that of the request before
		defer func() {
			fault := recover()
			if fault != nil && fault != http.ErrAbortHandler {
				s.Log.Error("panic", "request_id", seen.request, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
				if seen.status == 0 {
					failWith(seen, http.StatusInternalServerError, &api.Error{Kind: api.Internal, Hint: "the log of the server says more", Err: fmt.Errorf("request %s has failed", seen.request)})
					fault = nil
				}
			}
			seen.bound()
			_ = seen.control.SetReadDeadline(time.Now().Add(farewellTime)) // net/http reads what is left of the body
			s.tell(r, seen, time.Since(began))
			if fault != nil {
				panic(http.ErrAbortHandler) // the client must not take it for whole
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

func (s *Server) tell(r *http.Request, seen *seen, took time.Duration) {
	status := cmp.Or(seen.status, http.StatusOK)
	s.metrics.count(r.Method, seen.route, status, took)
	level := slog.LevelInfo
	if status == http.StatusInternalServerError || status == http.StatusBadGateway {
		level = slog.LevelWarn
	}
	s.Log.LogAttrs(r.Context(), level, "request",
		slog.String("method", methodOf(r.Method)), slog.String("route", seen.route), slog.Int("status", status),
		slog.Int64("bytes", seen.bytes.Load()), slog.Float64("ms", float64(took.Microseconds())/1000),
		slog.String("workspace", seen.workspace), slog.String("request_id", seen.request))
}

// methodOf is one of few words, whatever a client said.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// seen is an answer as it goes out. A client that takes nothing of it for a while is left.
type seen struct {
	http.ResponseWriter
	control   *http.ResponseController
	request   string // its id
	route     string
	workspace string
	status    int
	bytes     atomic.Int64
}

// note says which route a request has found. What is not the form of an id is not noted.
func note(w http.ResponseWriter, route, id string) {
	seen, ok := w.(*seen)
	if !ok {
		return
	}
	seen.route = route
	if api.CheckID(id) == nil {
		seen.workspace = id
	}
}

// Unwrap is for http.ResponseController.
func (s *seen) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *seen) bound() { _ = s.control.SetWriteDeadline(time.Now().Add(writeTime)) }

// WriteHeader implements http.ResponseWriter.
func (s *seen) WriteHeader(status int) {
	if s.status == 0 && status >= http.StatusOK {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (s *seen) Write(p []byte) (int, error) {
	s.bound()
	n, err := s.ResponseWriter.Write(p)
	s.status = cmp.Or(s.status, http.StatusOK)
	s.bytes.Add(int64(n))
	return n, err
}

// FlushError is for http.ResponseController.
func (s *seen) FlushError() error {
	s.bound()
	return s.control.Flush()
}

// Flush implements http.Flusher, which some libraries ask for.
func (s *seen) Flush() { _ = s.FlushError() }

// Hijack is for http.ResponseController.
func (s *seen) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := s.control.Hijack()
	if err != nil {
		return nil, nil, err
	}
	s.status = http.StatusSwitchingProtocols
	taken := &taken{Conn: conn, in: rw.Reader, seen: s}
	rw.Writer.Reset(taken)
	return taken, rw, nil
}

// How long a connection stays after all was said, so that what was said is read: it is
// lost where a connection is closed that brings more.
const (
	farewellTime = 2 * time.Second
	dropTime     = time.Second
	dropBytes    = 1 << 20
)

// taken is a connection that was taken over from HTTP.
type taken struct {
	net.Conn
	in   *bufio.Reader // has what came with the request
	seen *seen
	said atomic.Bool // all that there is to say
	once sync.Once
}

// Read implements io.Reader.
func (t *taken) Read(p []byte) (int, error) {
	if t.in.Buffered() > 0 {
		return t.in.Read(p)
	}
	return t.Conn.Read(p)
}

// Write implements io.Writer.
func (t *taken) Write(p []byte) (int, error) {
	_ = t.SetWriteDeadline(time.Now().Add(streamTime))
	n, err := t.Conn.Write(p)
	t.seen.bytes.Add(int64(n))
	return n, err
}

// CloseWrite says that all was said. A client that does not leave then is left.
func (t *taken) CloseWrite() error {
	t.said.Store(true)
	_ = t.SetReadDeadline(time.Now().Add(farewellTime))
	if half, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements io.Closer.
func (t *taken) Close() error {
	var err error
	t.once.Do(func() {
		if !t.said.Load() && t.CloseWrite() == nil {
			_ = t.SetReadDeadline(time.Now().Add(dropTime))
			_, _ = io.CopyN(io.Discard, t.Conn, dropBytes)
		}
		err = t.Conn.Close()
	})
	return err
}
