package mcpserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pyro-sandbox/pyro/internal/gate"
)

const (
	maxBody  = maxLine          // bytes of one message
	bodyTime = 30 * time.Second // in which a request's body has to be here
)

// fromPrograms refuses what a page of a browser may have sent. The library looks at Host
// alone.
func fromPrograms(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !gate.IsSameOrigin(r, "http") {
			refuse(w, http.StatusForbidden, "the request comes from another origin")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// wantToken lets those in who show the token.
func wantToken(token string, next http.Handler) http.Handler {
	want := gate.NewToken(token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !want.IsShown(r) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "send the header Authorization: Bearer TOKEN")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readBody reads the body of a request, which is a message, before anything else is done
// with it: whole, in time, and no more than maxBody. It is not decompressed. next gets it,
// and reads it from the request once more.
func readBody(next func(http.ResponseWriter, *http.Request, []byte)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
			refuse(w, http.StatusUnsupportedMediaType, "send the body without a Content-Encoding")
			return
		}
		connection := http.NewResponseController(w)
		_ = connection.SetReadDeadline(time.Now().Add(bodyTime)) // a recorder of tests has none
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		switch {
		case isTooLong(err):
			refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body exceeds %d bytes", maxBody))
			return
		case err != nil:
			refuse(w, http.StatusRequestTimeout, "the body did not come")
			return
		}
		_ = connection.SetReadDeadline(time.Time{}) // the end of the connection is waited for from here
		r.Body = io.NopCloser(bytes.NewReader(body))
		next(w, r, body)
	})
}

func isTooLong(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

// limitSessions lets no more sessions be begun than there may be at a time. Those that are
// just being begun may count twice.
func limitSessions(most int, live func() int, next http.Handler) http.Handler {
	var coming atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.Header.Get(sessionHeader) == "" {
			others := coming.Add(1) - 1
			defer coming.Add(-1)
			if live()+int(others) >= most {
				w.Header().Set("Retry-After", "60")
				refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%d sessions are open: end one with DELETE", most))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers with an error, and ends the connection: whoever is refused keeps none.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Connection", "close")
	http.Error(w, strings.ToLower(http.StatusText(status))+": "+why, status)
}
