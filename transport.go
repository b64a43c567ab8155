package pyro

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
)

const opForward = "use workspace"

// Transport carries requests of the HTTP API to the workspace, for whoever serves it to
// others. A request's path is that of docs/api.md below /v1/workspaces/ID, with /v1 before it;
// the rest of its URL does not count. One for /v1/disk starts what answers for the disk of a
// stopped workspace, until the answer's body is closed.
//
// The error of RoundTrip is an api.Error: Conflict where the workspace does not run, NotFound
// where it was deleted, Unavailable where it is gone in the middle of the request.
func (w *Workspace) Transport() http.RoundTripper { return carrier{w} }

type carrier struct{ w *Workspace }

// RoundTrip implements http.RoundTripper.
func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	to, release := c.w, func() {}
	ctx := r.Context()
	if strings.HasPrefix(r.URL.Path, "/v1/disk/") && to.client.remote == nil {
		var err error
		if to, release, err = c.w.openDisk(ctx, opForward); err != nil {
			return nil, err
		}
	}
	to.reach(ctx)
	outgoing, err := to.control.redirect(r)
	if err != nil {
		release()
		return nil, api.About(opForward, to.id, err)
	}
	response, err := to.control.http.Transport.RoundTrip(outgoing)
	if err != nil {
		release()
		return nil, c.w.explain(ctx, opForward, to.control.failed(ctx, question{op: opForward}, err))
	}
	response.Request = r
	response.Body = releasing(response.Body, release)
	return response, nil
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
