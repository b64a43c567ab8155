package httpapi

import (
	"errors"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/gate"
)

// guesses is how many requests without the token are looked at, in a second; what comes
// beyond is told to wait. Those with it are not held up by them.
const guesses = 20

// guarded lets in what may come in at a door.
func guarded(d door, next http.Handler) http.Handler {
	want := gate.NewToken(d.token)
	strangers := rate.NewLimiter(guesses, 2*guesses)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case d.host != nil && !d.host(r.Host):
			refuse(w, http.StatusForbidden, api.Denied, "call it by its address, or by a name in its certificate", "the request is for another host")
		case !gate.IsSameOrigin(r, d.scheme):
			refuse(w, http.StatusForbidden, api.Denied, "", "the request comes from another origin")
		case d.token != "" && !want.IsShown(r):
			if !strangers.Allow() {
				refuse(w, http.StatusTooManyRequests, api.Unavailable, "wait, and send the token", "too many requests came without the token")
				return
			}
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, api.Denied, "send the header Authorization: Bearer TOKEN", "the token is missing or wrong")
		case d.calls != nil && !d.calls.Allow():
			failWith(w, http.StatusTooManyRequests, &api.Error{Kind: api.Unavailable, Hint: "wait, or raise --rate", Err: errors.New("there are too many requests")})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// refuse answers with an error, and ends the connection: whoever is refused keeps none.
func refuse(w http.ResponseWriter, status int, kind api.Kind, hint, why string) {
	w.Header().Set("Connection", "close")
	failWith(w, status, &api.Error{Kind: kind, Hint: hint, Err: errors.New(why)})
}
