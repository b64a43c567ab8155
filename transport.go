package pyro

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const opForward = "use workspace"

// idleCarrier is how long a connection that nobody uses is kept by a Transport. Supervisors
// keep theirs for longer.
const idleCarrier = 5 * time.Second

// Transport carries requests of the HTTP API to the workspace, for whoever serves it to
// others. A request's path is that of docs/api.md below /v1/workspaces/ID, with /v1 before it;
// the rest of its URL does not count. One for /v1/disk starts what answers for the disk of a
// stopped workspace, until the answer's body is closed.
//
// The error of RoundTrip is an api.Error: Conflict where the workspace does not run, NotFound
// where it was deleted, Unavailable where it is gone in the middle of the request. Connections
// that are not used are closed after five seconds.
func (w *Workspace) Transport() http.RoundTripper {
	c := &carrier{w: w, http: w.control.http.Transport}
	if w.client.remote == nil {
		kept := transportOver(w.dialReached)
		kept.DisableKeepAlives, kept.IdleConnTimeout, kept.MaxIdleConnsPerHost = false, idleCarrier, idleConns
		c.http = kept
	}
	return c
}

// dialReached connects with the supervisor, and waits for one that is just starting.
func (w *Workspace) dialReached(ctx context.Context) (net.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, w.client.patience)
	defer cancel()
	for {
		conn, err := w.control.dial(ctx)
		if err == nil || !w.client.isHeld(w.id) || !sys.Sleep(waiting, turnPause) {
			return conn, err
		}
	}
}

type carrier struct {
	w    *Workspace
	http http.RoundTripper
}

// CloseIdleConnections is called by [http.Client.CloseIdleConnections].
func (c *carrier) CloseIdleConnections() {
	if kept, ok := c.http.(*http.Transport); ok && c.w.client.remote == nil {
		kept.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Path, "/v1/disk/") && c.w.client.remote == nil {
		return c.toDisk(r)
	}
	return c.w.forward(r, c.w.control, c.http)
}

// toDisk has a request answered by the disk of a stopped workspace.
func (c *carrier) toDisk(r *http.Request) (*http.Response, error) {
	disk, release, err := c.w.openDisk(r.Context(), opForward)
	if err != nil {
		return nil, err
	}
	response, err := c.w.forward(r, disk.control, disk.control.http.Transport)
	if err != nil {
		release()
		return nil, err
	}
	response.Body = releasing(response.Body, release)
	return response, nil
}

func (w *Workspace) forward(r *http.Request, to *control, by http.RoundTripper) (*http.Response, error) {
	outgoing, err := to.redirect(r)
	if err != nil {
		return nil, api.About(opForward, w.id, err)
	}
	response, err := by.RoundTrip(outgoing)
	if err != nil {
		return nil, w.unheard(r.Context(), to.failed(r.Context(), question{op: opForward}, err))
	}
	response.Request = r
	return response, nil
}

// unheard is explain, also for a connection that was kept and ended just when it was used
// again: where the supervisor has stopped the workspace, it has answered all that it heard.
func (w *Workspace) unheard(ctx context.Context, err error) error {
	if errors.Is(err, errCut) && w.client.remote == nil && !w.control.listens(ctx) {
		now, statusErr := workspace.Status(ctx, w.client.store, w.id)
		if statusErr != nil || now.Reason == nil || *now.Reason != workspace.ReasonSupervisorLost {
			err = fmt.Errorf("%w: %w", errAbsent, err)
		}
	}
	return w.explain(ctx, opForward, err)
}

// redirect is r for the other side.
func (c *control) redirect(r *http.Request) (*http.Request, error) {
	path := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	there, err := c.request(r.Context(), question{method: r.Method, path: path, stream: http.NoBody})
	if err != nil {
		return nil, err
	}
	outgoing := r.Clone(r.Context())
	outgoing.URL, outgoing.Host = there.URL, ""
	if token := there.Header.Get("Authorization"); token != "" {
		outgoing.Header.Set("Authorization", token)
	}
	return outgoing, nil
}

// releasing is a body whose end releases something. One that can be written to, after an
// upgrade, stays that.
func releasing(body io.ReadCloser, release func()) io.ReadCloser {
	release = sync.OnceFunc(release)
	plain := releasingBody{ReadCloser: body, release: release}
	if w, ok := body.(io.Writer); ok {
		return struct {
			releasingBody
			io.Writer
		}{plain, w}
	}
	return plain
}

type releasingBody struct {
	io.ReadCloser
	release func()
}

// Close implements io.Closer.
func (b releasingBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}
