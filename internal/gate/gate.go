// Package gate says who may call a server of pyro's over HTTP: by a token, from no page of a
// browser, and at which address. It is the same for the server of agents and that of the API,
// which are faces beside each other. How they answer whom they refuse is their business.
package gate

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Token is what callers show, as a digest: a comparison takes the same time whatever is
// shown, its length included.
type Token [sha256.Size]byte

// NewToken returns the token of a text.
func NewToken(text string) Token { return sha256.Sum256([]byte(text)) }

// IsShown reports whether a request shows the token in the header Authorization, as RFC 6750,
// section 2.1 has it, and nowhere else.
func (t Token) IsShown(r *http.Request) bool {
	scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(shown)))
	return subtle.ConstantTimeCompare(got[:], t[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// IsSameOrigin reports whether a request names no origin but the server's own, which is
// reached by the scheme. Programs name none, and pages of a browser have to: net/http's
// CrossOriginProtection lets their GET through.
func IsSameOrigin(r *http.Request, scheme string) bool {
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != scheme || u.Host != r.Host {
			return false
		}
	}
	return true
}

// CheckAddress refuses what is no HOST:PORT with a port in digits.
func CheckAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("address %.80s: %.80q is no port from 0 to 65535", address, port)
	}
	return nil
}

// IsLoopback reports whether an address of a listener can be reached from this machine alone.
func IsLoopback(at net.Addr) bool {
	tcp, ok := at.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
