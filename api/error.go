package api

import (
	"errors"
	"strings"
)

// Kind classifies an error by what the caller can do about it. The set is closed:
// kinds are added rarely and never renamed, since they cross the wire as they are.
// A Kind is itself an error, so that callers ask errors.Is(err, api.NotFound).
type Kind string

// The kinds of error.
const (
	Invalid     Kind = "invalid"     // an argument outside its limits; the same call will fail again
	NotFound    Kind = "not_found"   // no such workspace, file or environment
	Exists      Kind = "exists"      // the name is taken
	Conflict    Kind = "conflict"    // the thing is in another state, or busy; may work later
	Expired     Kind = "expired"     // the workspace reached the end of its time
	Unsupported Kind = "unsupported" // this machine, engine or version cannot do it
	Unavailable Kind = "unavailable" // the other side is gone or does not answer
	Timeout     Kind = "timeout"     // it took longer than was allowed
	Denied      Kind = "denied"      // policy or permissions refuse it
	Canceled    Kind = "canceled"    // the caller gave up
	Internal    Kind = "internal"    // a fault of pyro itself
)

// Error returns the kind in words.
func (k Kind) Error() string { return strings.ReplaceAll(string(k), "_", " ") }

// Status is the kind as a status code of HTTP, RFC 9110. What the caller gave up is not told
// to anybody but by a server that ends.
func (k Kind) Status() int {
	switch k {
	case Invalid:
		return 400 // Bad Request
	case Denied:
		return 403 // Forbidden
	case NotFound:
		return 404 // Not Found
	case Exists, Conflict:
		return 409 // Conflict
	case Expired:
		return 410 // Gone
	case Unsupported:
		return 501 // Not Implemented
	case Unavailable, Canceled:
		return 503 // Service Unavailable
	case Timeout:
		return 504 // Gateway Timeout
	default:
		return 500 // Internal Server Error
	}
}

// Error is what fails, where, and what to do next. Each fact stands in one field
// and is printed once.
type Error struct {
	Kind Kind   // what the caller can do about it
	Op   string // the operation, as the user knows it: "create workspace"
	ID   string // the workspace or thing it was about; may be empty
	Hint string // the next step, a sentence without a full stop; may be empty
	Err  error  // the cause; may be nil
}

// Error prints operation, id and cause, from outer to inner.
func (e *Error) Error() string {
	var parts []string
	if head := strings.TrimSpace(e.Op + " " + e.ID); head != "" {
		parts = append(parts, head)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	} else {
		parts = append(parts, e.Kind.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the kind of e.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// About names in an error the operation and what it was about, and keeps the rest: its
// kind and its hint. About nothing is nil.
func About(op, id string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Op: op, ID: id, Hint: HintOf(err), Err: err}
}

// KindOf returns the kind of the outermost Error in err's chain, and Internal for
// an error that has none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) && e.Kind != "" {
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return Internal
}

// HintOf returns the first hint in err's chain, from the outside in, or "".
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// ErrorReply is an error as JSON: of `pyro … --json`, and of the HTTP API.
type ErrorReply struct {
	OK    bool   `json:"ok"` // always false
	Error string `json:"error"`
	Kind  Kind   `json:"kind"`
	Hint  string `json:"hint"`
}

// ReplyTo makes the JSON form of an error.
func ReplyTo(err error) ErrorReply {
	return ErrorReply{Error: err.Error(), Kind: KindOf(err), Hint: HintOf(err)}
}

// Err turns a reply into the error that it was made from; its text is kept whole.
func (r ErrorReply) Err() error {
	kind := r.Kind
	if kind == "" {
		kind = Internal
	}
	return &Error{Kind: kind, Hint: r.Hint, Err: errors.New(r.Error)}
}
