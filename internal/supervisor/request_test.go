package supervisor

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// TestRefusalReachesWhoeverIsStillSending: a client that is cut off while it sends may take
// that for the end of the workspace, and never look at the answer.
func TestRefusalReachesWhoeverIsStillSending(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := newSending(w, r)
		defer body.spend()
		fail(w, &api.Error{Kind: api.Invalid, Err: errors.New("no")})
	}))
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Listener.Close()
	server.Listener = private{l} // whose connections are no more than connections
	server.Start()
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		Dial:              func(string, string) (net.Conn, error) { return net.Dial("unix", l.Addr().String()) },
	}}
	for range 300 { // which comes first is a matter of luck
		body := io.LimitReader(strings.NewReader(strings.Repeat("x", 512<<10)), 512<<10)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://pyro/", body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("status %s", response.Status)
		}
	}
}

// TestRequestsAreObjects: null would ask for whatever an empty request asks for.
func TestRequestsAreObjects(t *testing.T) {
	for body, good := range map[string]bool{`{}`: true, `{"discard": null}`: true, `null`: false, `[]`: false, `"x"`: false, ``: false, `{"x": 1}`: false} {
		var req api.StopRequest
		err := decode(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), &req)
		if (err == nil) != good || err != nil && !errors.Is(err, api.Invalid) {
			t.Errorf("%q: %v", body, err)
		}
	}
}
