package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
)

// How long the operations may take, from the established connection on. Archives
// have that long between any two pieces, and in all one second more for every
// slowestRate bytes; an exec has execMargin more than the command.
const (
	connectTimeout = 10 * time.Second // one attempt
	connectPause   = 200 * time.Millisecond
	usualTimeout   = 30 * time.Second
	archiveTimeout = 60 * time.Second
	execMargin     = 10 * time.Second // the agent's own timeout strikes first, and its answer arrives
	slowestRate    = 64 << 10         // bytes a second
)

// Client asks one agent. Every request has its own connection, which is closed
// when the method returns, or where that says so. Its methods may be called
// concurrently.
//
// An error is an api.Error. Where the agent itself reported one, its text is the
// agent's, unchanged but for its length (MaxErrorText), and its kind the agent's
// too, Internal where it named none. An answer against the protocol is Internal
// with ErrProtocol in its chain.
type Client struct {
	Dial Dialer

	// ConnectWindow is how long a failing Dial is repeated, for an agent that is
	// just starting; 0 means one attempt. Nothing is ever repeated once a
	// connection is there: the agent may have begun to do it.
	ConnectWindow time.Duration
}

// Exec runs a command with /bin/sh -lc and captures its output. The reply is
// awaited for execMargin longer than r.TimeoutSeconds, so that the agent's own
// timeout (exit code 124) is what the caller sees.
func (c *Client) Exec(ctx context.Context, r ExecRequest) (ExecReply, error) {
	r.Action = ActionExec
	if err := checkText(r.Action, string(r.Command)); err != nil {
		return ExecReply{}, err
	}
	reply := ExecReply{ExitCode: -1}
	seconds := min(max(r.TimeoutSeconds, 0), 1<<31) // more would overflow a Duration
	err := c.call(ctx, exchange{
		op: r.Action, request: r, into: &reply, limit: MaxReplyLine,
		timeout: time.Duration(seconds)*time.Second + execMargin,
	})
	return reply, err
}

// Hello asks who answers. An agent of the replaced product has no such action and
// takes it for an exec of nothing; that is a Hello with Protocol 0 and no version:
// use the base protocol alone.
func (c *Client) Hello(ctx context.Context) (Hello, error) {
	var reply Hello
	err := c.ask(ctx, ActionHello, HelloRequest{Action: ActionHello}, &reply)
	return reply, err
}

// ask is a call with a short reply within the usual time.
func (c *Client) ask(ctx context.Context, op string, request, into any) error {
	return c.call(ctx, exchange{op: op, request: request, into: into, limit: MaxShortLine, timeout: usualTimeout})
}

// exchange is a request and what its answer may be.
type exchange struct {
	op      string
	request any
	body    io.Reader // follows the request line; nil: nothing does
	size    int64     // of the body
	into    any       // pointer to the reply, with its defaults
	limit   int       // of the reply, in bytes
	timeout time.Duration
}

// call does one exchange on a connection of its own and closes it.
func (c *Client) call(ctx context.Context, x exchange) error {
	line, err := x.encode()
	if err != nil {
		return err
	}
	l, err := c.open(ctx, x)
	if err != nil {
		return err
	}
	defer l.close()
	sent := make(chan error, 1)
	go func() { sent <- l.send(x, line) }() // ends with the body, or when the connection is closed
	data, readErr := l.readAll(x.limit)
	l.close()
	return l.outcome(x, data, readErr, <-sent)
}

// outcome is what came of an exchange of which something was sent after the request.
// A fault of what was to be sent explains every other.
func (l *link) outcome(x exchange, data []byte, readErr, sendErr error) error {
	var fault *sourceError
	switch {
	case errors.As(sendErr, &fault):
		return &api.Error{Kind: sourceKind(l.ctx, fault), Op: steps[x.op], Err: fault}
	case readErr != nil:
		return l.failed(readErr)
	case sendErr != nil && len(data) == 0:
		return l.failed(sendErr)
	}
	if err := decodeReply(data, x.into); err != nil {
		return l.failed(err)
	}
	if sendErr != nil {
		return l.failed(fmt.Errorf("%w: answered before all that was announced was there: %w", ErrProtocol, sendErr))
	}
	return nil
}

// sourceKind is why there is nothing more to send.
func sourceKind(ctx context.Context, fault *sourceError) api.Kind {
	var known *api.Error
	if ctx.Err() != nil || errors.As(fault, &known) {
		return causeOf(ctx, fault)
	}
	return api.Invalid
}

// encode is the request line.
func (x exchange) encode() ([]byte, error) {
	line, err := encodeLine(x.request)
	if err != nil {
		return nil, &api.Error{Kind: api.Invalid, Op: steps[x.op], Err: err}
	}
	if len(line)-1 > MaxRequestLine {
		return nil, &api.Error{Kind: api.Invalid, Op: steps[x.op], Err: fmt.Errorf("request of %d bytes, allowed are %d", len(line), MaxRequestLine)}
	}
	return line, nil
}

// checkText refuses text that JSON could not carry unchanged.
func checkText(op string, texts ...string) error {
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return &api.Error{Kind: api.Invalid, Op: steps[op], Err: fmt.Errorf("%q is not UTF-8", clip(text, 64))}
		}
	}
	return nil
}
