package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"

	"github.com/pyro-sandbox/pyro/api"
)

// execute runs a command in a workspace. For people its output is shown as it
// comes; with --json it is collected into the result. tag begins our own lines.
func (a *app) execute(ctx context.Context, tag string, ws workspace, e execution) (*api.WorkspaceExec, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := command{Argv: e.argv, SecretEnv: e.secretEnv, Timeout: e.timeout()}
	if e.interactive {
		c.Stdin = a.Stdin
	}
	if e.tty {
		return a.executeHere(ctx, tag, ws, c)
	}
	if a.json {
		stdout, stderr := &capture{limit: maxCapture}, &capture{limit: maxCapture}
		c.Stdout, c.Stderr = stdout, stderr
		result, err := a.attend(ctx, tag, ws, c)
		if err != nil {
			return nil, err
		}
		result.Stdout, result.StdoutTruncated = stdout.text(), stdout.cut || result.StdoutTruncated
		result.Stderr, result.StderrTruncated = stderr.text(), stderr.cut || result.StderrTruncated
		return result, nil
	}
	stdout, stderr := a.outlet(a.Stdout, "stdout"), a.outlet(a.Stderr, "stderr")
	c.Stdout, c.Stderr = stdout, stderr
	result, err := a.attend(ctx, tag, ws, c)
	if _, ok := errors.AsType[*leaving](err); !ok { // else the command may still be writing
		err = cmp.Or(err, stdout.flush(), stderr.flush())
	}
	return result, err
}

// attend starts a command and waits for it. The first signal goes to the command,
// the second makes us leave.
func (a *app) attend(ctx context.Context, tag string, ws workspace, c command) (*api.WorkspaceExec, error) {
	// Without progress: its line would stand in the way of the command's output.
	p, err := awaitWith(ctx, a, tag, nil, func(ctx context.Context) (process, error) { return ws.Start(ctx, c) })
	if err != nil {
		return nil, err
	}
	type outcome struct {
		result *api.WorkspaceExec
		err    error
	}
	go c.seat.follow(ctx, func(size api.TerminalSize) { _ = p.Resize(size) }) // ends with ctx; a command that has ended needs no size
	ended := make(chan outcome, 1)
	go func() { // ends with the command, and that ends with ctx
		defer c.seat.guard()
		result, err := p.Wait()
		ended <- outcome{result, err}
	}()
	for told := false; ; told = true {
		select {
		case o := <-ended:
			return o.result, o.err
		case s := <-c.seat.lost():
			return nil, &leaving{code: 128 + number(s)}
		case s := <-a.Signals:
			name, code := signalOf(s)
			if told {
				return nil, &leaving{code: code}
			}
			a.say("[%s] %s sent to the command; once more leaves at once", tag, name)
			go func() { _ = p.Signal(name) }() // ends with the connection, and that ends with ctx; a command that has ended needs no signal
		}
	}
}

// await calls f, which may take a while. The first signal cancels it and waits
// until it has undone what it did, the second makes us leave. If f succeeded all
// the same, so be it.
func await[T any](ctx context.Context, a *app, tag string, f func(context.Context) (T, error)) (T, error) {
	return awaitWith(ctx, a, tag, a.newProgress(tag), f)
}

// awaitWith is await with a progress of the caller's, and ends it.
func awaitWith[T any](ctx context.Context, a *app, tag string, shown *progress, f func(context.Context) (T, error)) (T, error) {
	defer shown.end()
	inner, cancel := context.WithCancel(ctx)
	type outcome struct {
		value T
		err   error
	}
	ended := make(chan outcome, 1)
	go func() { // ends with f, and f with inner
		value, err := f(inner)
		ended <- outcome{value, err}
	}()
	var asked *leaving
	for {
		select {
		case <-shown.due():
			shown.draw()
		case o := <-ended:
			if o.err == nil {
				context.AfterFunc(ctx, cancel) // what f returned may live on inner
				return o.value, nil
			}
			cancel()
			if asked != nil {
				return o.value, asked
			}
			return o.value, o.err
		case s := <-a.Signals:
			name, code := signalOf(s)
			cancel()
			if asked != nil {
				var none T
				return none, &leaving{code: code}
			}
			asked = &leaving{code: code, cause: &api.Error{Kind: api.Canceled, Op: tag, Err: interrupted(name)}}
			shown.clear()
			a.say("[%s] %s: cleaning up; once more leaves at once", tag, name)
		}
	}
}

// interrupted is the signal that ended it all, by name.
type interrupted string

func (i interrupted) Error() string { return "ended by " + string(i) }

// signalOf returns a signal's name, as the guest knows it, and the exit code of a
// process that it ends. Whatever is not an interrupt is a request to end.
func signalOf(s os.Signal) (name string, code int) {
	if s == os.Interrupt {
		return "INT", 128 + 2
	}
	return "TERM", 128 + 15
}

// outlet passes a guest's bytes on to one of our streams: as they are, or safe to
// look at where the stream is a terminal. That a write failed ends the command,
// since nobody would see the rest; the SDK sees to it.
type outlet struct {
	to     io.Writer
	stream string
	safe   *sanitizer // nil: not a terminal
}

func (a *app) outlet(w io.Writer, stream string) *outlet {
	o := &outlet{to: w, stream: stream}
	if a.terminal(w) {
		o.safe = &sanitizer{w: w}
	}
	return o
}

// Write implements io.Writer.
func (o *outlet) Write(p []byte) (int, error) {
	w := o.to
	if o.safe != nil {
		w = o.safe
	}
	n, err := w.Write(p)
	return n, o.failed(err)
}

// flush writes what is held back, and on a terminal ends the last line, so that our
// own begins at the left. Nobody may write any more.
func (o *outlet) flush() error {
	if o.safe == nil {
		return nil
	}
	err := o.safe.Flush()
	if err == nil && o.safe.last != 0 && o.safe.last != '\n' {
		_, err = io.WriteString(o.to, "\n")
	}
	return o.failed(err)
}

func (o *outlet) failed(err error) error {
	if err == nil {
		return nil
	}
	return newOutputError(o.to, o.stream, err)
}
