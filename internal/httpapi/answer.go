package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
)

// answer answers a request that is done, or says why it is not.
func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	write(w, http.StatusOK, v)
}

// refusal is an error that has a status of HTTP of its own.
type refusal struct {
	status int
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func fail(w http.ResponseWriter, err error) {
	if r, ok := errors.AsType[*refusal](err); ok {
		failWith(w, r.status, r.err)
		return
	}
	failWith(w, api.KindOf(err).Status(), err)
}

func failWith(w http.ResponseWriter, status int, err error) {
	switch status {
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
	case http.StatusMethodNotAllowed: // RFC 9110, section 15.5.6
		w.Header().Set("Allow", strings.TrimPrefix(api.HintOf(err), "use "))
	case http.StatusUpgradeRequired: // section 15.5.22
		w.Header().Set("Upgrade", api.Frames)
	case http.StatusRequestTimeout, http.StatusRequestEntityTooLarge: // what is left of the body is not waited for
		w.Header().Set("Connection", "close")
	}
	write(w, status, api.ReplyTo(err))
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away is no error of ours
}

// decode reads the JSON that a body is: one value, without fields that nobody knows.
func decode[T any](r *http.Request) (T, error) {
	var v T
	err := decodeFrom(r.Body, &v)
	return v, err
}

func decodeFrom(body io.Reader, v any) error {
	in := json.NewDecoder(body)
	in.DisallowUnknownFields()
	err := in.Decode(&v) // which null makes nil
	switch {
	case err != nil:
	case v == nil:
		err = errors.New("null is nothing to ask")
	default:
		if _, more := in.Token(); more == nil {
			err = errors.New("there is more than one value")
		} else if !errors.Is(more, io.EOF) {
			err = more
		}
	}
	return unread(err)
}

// unread words why a body could not be read.
func unread(err error) error {
	var long *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &long):
		return tooLong(long.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return &refusal{http.StatusRequestTimeout, &api.Error{Kind: api.Timeout, Hint: "send it without pauses", Err: errors.New("the body of the request did not come")}}
	case errors.Is(err, io.EOF):
		err = errors.New("there is no JSON in the body")
	}
	return &api.Error{Kind: api.Invalid, Err: fmt.Errorf("request: %w", err)}
}

func tooLong(limit int64) error {
	return &refusal{http.StatusRequestEntityTooLarge, &api.Error{
		Kind: api.Invalid, Hint: "send less", Err: fmt.Errorf("the body of the request exceeds %d bytes", limit),
	}}
}

// clip is a text of a client's as it is said back.
func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
