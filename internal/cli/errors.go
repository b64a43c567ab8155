package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/pyro-sandbox/pyro/api"
)

// Exit codes of pyro itself. A guest's command has its own.
const (
	exitOK      = 0
	exitHandled = 1   // an [error] was printed
	exitUsage   = 2   // the command line makes no sense
	exitPipe    = 141 // stdout was closed: 128 + SIGPIPE, what a shell shows for any filter
)

// usageError is a command line that makes no sense.
type usageError struct {
	usage, program, text, hint string
}

func (e *usageError) Error() string { return e.text }

// guestStatus is no failure of pyro: the guest's command ended, with this code.
type guestStatus int

func (s guestStatus) Error() string { return fmt.Sprintf("the command ended with %d", int(s)) }

// errUnsound is no failure of pyro either: what it was asked to look at does not work,
// and all was said.
var errUnsound = errors.New("not all of it works")

// leaving is what a signal asked for. A cause is still to be told; without one
// there is nothing more to say.
type leaving struct {
	code  int
	cause error
}

func (l *leaving) Error() string { return cmp.Or(l.cause, error(api.Canceled)).Error() }
func (l *leaving) Unwrap() error { return l.cause }

// outputError is a write to one of our own streams that failed.
type outputError struct {
	stream string
	closed bool // the reader is gone, which is its right
	err    error
}

// Error names the stream once: what the operating system calls it adds nothing.
func (e *outputError) Error() string {
	cause := e.err
	if p, ok := errors.AsType[*fs.PathError](cause); ok {
		cause = p.Err
	}
	return "write to " + e.stream + ": " + cause.Error()
}

func (e *outputError) Unwrap() error { return e.err }

func newOutputError(w io.Writer, stream string, err error) error {
	return &outputError{stream: stream, closed: errors.Is(err, io.ErrClosedPipe) || isPipe(w), err: err}
}

// errUnread is the end of whoever reads our stdout, while we had nothing to write.
var errUnread = &outputError{stream: "stdout", closed: true, err: io.ErrClosedPipe}

// readerGone is a channel that never is closed where nobody tells.
func (a *app) readerGone(ctx context.Context) <-chan struct{} {
	if a.ReaderGone == nil {
		return nil
	}
	return a.ReaderGone(ctx)
}

// isPipe reports whether w is a pipe or a socket. A write to one fails for a single
// reason, and that reason has a portable name nowhere.
func isPipe(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0
}

// conclude prints what is left to say about err and returns the exit code.
func (a *app) conclude(err error) int {
	var (
		usage  *usageError
		status guestStatus
		leave  *leaving
		output *outputError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUnsound):
		return exitHandled
	case errors.As(err, &status):
		return ((int(status) % 256) + 256) % 256
	case errors.As(err, &output) && output.closed:
		return exitPipe
	case errors.As(err, &usage):
		a.say("usage: %s", usage.usage)
		a.say("%s: error: %s", usage.program, usage.text)
		a.say("[hint] %s", usage.hint)
		return exitUsage
	case errors.As(err, &leave):
		if leave.cause != nil {
			a.report(leave.cause)
		}
		return leave.code
	default:
		a.report(err)
		return exitHandled
	}
}

// report prints a handled error, for people or for programs.
func (a *app) report(err error) {
	reply := api.ReplyTo(err)
	if output, ok := errors.AsType[*outputError](err); ok { // says all; who tried to write there adds nothing
		reply.Error, reply.Hint = output.Error(), "what was written is not whole: make room there, or write elsewhere, and try again"
	}
	reply.Hint = cmp.Or(reply.Hint, nextStep(reply.Kind))
	if a.json {
		_ = api.Encode(a.Stdout, reply)
		return
	}
	a.say("[error] %s", reply.Error)
	if reply.Hint != "" {
		a.say("[hint] %s", reply.Hint)
	}
}

// nextStep is the hint for an error that brings none of its own.
func nextStep(kind api.Kind) string {
	switch kind {
	case api.NotFound, api.Expired:
		return "`pyro workspace list` shows what is there"
	case api.Conflict, api.Timeout:
		return "try again; `pyro workspace list` shows the states"
	case api.Invalid, api.Exists:
		return "add --help to the command to see what it takes"
	case api.Canceled:
		return ""
	default:
		return "`pyro doctor` shows what this machine lacks"
	}
}

// say prints one line of talk to stderr. What it quotes may come from a guest or a
// name, so nothing but text gets through. If stderr is gone there is nobody to tell.
func (a *app) say(format string, args ...any) {
	_, _ = io.WriteString(a.Stderr, oneLine(fmt.Sprintf(format, args...))+"\n")
}

// print writes an answer to stdout, in one piece.
func (a *app) print(text string) error {
	if _, err := io.WriteString(a.Stdout, text); err != nil {
		return newOutputError(a.Stdout, "stdout", err)
	}
	return nil
}

// printJSON writes an answer to stdout as JSON.
func (a *app) printJSON(v any) error {
	if err := api.Encode(a.Stdout, v); err != nil {
		return newOutputError(a.Stdout, "stdout", err)
	}
	return nil
}
