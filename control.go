package pyro

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// How long a supervisor may take, and how much it may say. It is a process of ours,
// but one that speaks of what a guest did.
const (
	dialTime    = 5 * time.Second
	answerTime  = 10 * time.Second // to what it knows by itself
	deleteTime  = 5 * time.Second  // then the supervisor is ended, and we do it ourselves
	logsTime    = time.Minute
	saveTime    = 11 * time.Minute // a whole disk
	treeTime    = 24 * time.Hour   // it goes on or is given up piece by piece
	compareTime = 5 * time.Minute
	execMargin  = 30 * time.Second // beyond a command's own timeout

	maxHead    = 64 << 10
	maxReply   = 1 << 20
	maxCapture = wire.MaxReplyLine // both streams, each byte escaped at the worst
	maxLogs    = 512 << 20
)

// errAbsent is in the chain where nobody listens on a workspace's socket: it is
// stopped, or has been deleted, or its supervisor was killed.
var errAbsent = errors.New("no supervisor answers")

// errCut is in the chain where the supervisor went away before it had answered.
var errCut = errors.New("the supervisor is gone")

// control speaks HTTP with the supervisor of one workspace, or with a server that stands
// for it. Every request to a supervisor has a connection of its own, so that nothing is left
// behind.
type control struct {
	id      string
	socket  string
	remote  *remote // nil: the supervisor itself
	http    *http.Client
	greeted *atomic.Bool // it has said which version it speaks
}

func newControl(id, socket string) *control {
	c := &control{id: id, socket: socket, greeted: new(atomic.Bool)}
	c.http = &http.Client{Transport: transportOver(c.dial)}
	return c
}

func transportOver(dial func(context.Context) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
	}
}

// listens reports whether there is a supervisor.
func (c *control) listens(ctx context.Context) bool {
	conn, err := c.dial(ctx)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func (c *control) dial(ctx context.Context) (net.Conn, error) {
	if c.remote != nil {
		return c.remote.dial(ctx)
	}
	d := net.Dialer{Timeout: dialTime}
	conn, err := d.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAbsent, err)
	}
	return conn, nil
}

// question is one request and the bounds of its answer.
type question struct {
	op     string // for errors
	method string
	path   string
	body   []byte    // JSON; nil: none
	stream io.Reader // instead of body
	media  string    // the type of the body; empty: JSON
	within time.Duration
	limit  int64 // of the answer, in bytes
}

func (c *control) request(ctx context.Context, q question) (*http.Request, error) {
	body := q.stream
	if body == nil {
		body = bytes.NewReader(q.body)
	}
	where := "http://pyro" + q.path
	if c.remote != nil {
		where = c.remote.address(c.id, q.path)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, where, body)
	if err != nil {
		return nil, err
	}
	switch {
	case q.media != "":
		r.Header.Set("Content-Type", q.media)
	case q.body != nil:
		r.Header.Set("Content-Type", "application/json")
	}
	if c.remote != nil {
		c.remote.introduce(r)
	}
	return r, nil
}

// ask puts a question and decodes the answer. Errors that the supervisor reported
// are passed on as they are; one of the transport is Unavailable, with errAbsent in
// its chain where there was no connection at all.
func ask[T any](ctx context.Context, c *control, q question) (*T, error) {
	if err := c.greet(ctx, q.within); err != nil {
		return nil, err
	}
	return exchange[T](ctx, c, q)
}

// exchange is ask without knowing who is there.
func exchange[T any](ctx context.Context, c *control, q question) (*T, error) {
	bounded, cancel := context.WithTimeout(ctx, q.within)
	defer cancel()
	r, err := c.request(bounded, q)
	if err != nil {
		return nil, api.About(q.op, c.id, err)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, c.failed(ctx, q, err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, q.limit+1))
	if err != nil {
		return nil, c.failed(ctx, q, err)
	}
	if int64(len(data)) > q.limit {
		return nil, api.About(q.op, c.id, fmt.Errorf("the answer is longer than %d bytes", q.limit))
	}
	if response.StatusCode != http.StatusOK {
		return nil, c.refused(q.op, response.StatusCode, data)
	}
	answer := new(T)
	if err := json.Unmarshal(data, answer); err != nil {
		return nil, api.About(q.op, c.id, fmt.Errorf("answer: %w", err))
	}
	return answer, nil
}

// greet asks once which version the supervisor speaks. It may be older or newer
// than this program: it was started by another one, or long ago. It takes no longer
// than the question that it goes before may.
func (c *control) greet(ctx context.Context, within time.Duration) error {
	if c.greeted.Load() {
		return nil
	}
	const op = "talk to workspace"
	hello, err := exchange[api.Hello](ctx, c, question{op: op, method: http.MethodGet, path: "/v1/hello", within: min(within, answerTime), limit: maxReply})
	if err != nil {
		return err
	}
	return c.meet(hello)
}

// meet notes what a supervisor said of itself, or refuses to talk to it.
func (c *control) meet(hello *api.Hello) error {
	if hello.API > api.APIVersion {
		return &api.Error{
			Kind: api.Unsupported, Op: "talk to workspace", ID: c.id, Hint: "update this client to pyro " + hello.Version,
			Err: fmt.Errorf("it speaks version %d of the API, and this client only %d", hello.API, api.APIVersion),
		}
	}
	c.greeted.Store(true)
	return nil
}

// failed is the error of a question that got no whole answer. ctx is that of the
// caller, without the time limit of the question.
func (c *control) failed(ctx context.Context, q question, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the rest names a URL that nobody knows
	}
	switch {
	case ctx.Err() != nil:
		return ended(ctx, q.op, c.id)
	case errors.Is(err, errAbsent):
		return &api.Error{Kind: api.Unavailable, Op: q.op, ID: c.id, Hint: statusHint(c.id), Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Error{
			Kind: api.Timeout, Op: q.op, ID: c.id, Hint: "`pyro doctor` shows what is wrong",
			Err: fmt.Errorf("no answer from the supervisor within %v", q.within),
		}
	default:
		return c.lost(q.op, err)
	}
}

// lost is the error of an operation whose other side went away in the middle of it.
func (c *control) lost(op string, err error) error {
	if c.remote != nil {
		return c.remote.failed(op, c.id, err)
	}
	return &api.Error{
		Kind: api.Unavailable, Op: op, ID: c.id, Hint: statusHint(c.id),
		Err: fmt.Errorf("%w: %w", errCut, err),
	}
}

// refused is the error that the supervisor reported.
func (c *control) refused(op string, status int, data []byte) error {
	var reply api.ErrorReply
	if err := json.Unmarshal(data, &reply); err != nil || reply.Error == "" {
		return api.About(op, c.id, fmt.Errorf("unexpected answer with HTTP status %d", status))
	}
	if reply.Kind == api.Unsupported && reply.Hint == "" {
		reply.Hint = "it was started by another version of pyro, which cannot do that: use that one, or create a workspace anew"
	}
	return reply.Err()
}
