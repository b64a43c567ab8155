package supervisor

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// TestRefusalReachesWhoeverIsStillSending: a client that is cut off while it sends may take
// that for the end of the workspace, and never look at the answer. So what it sends is taken.
func TestRefusalReachesWhoeverIsStillSending(t *testing.T) {
	s := &supervisor{}
	for path, handler := range map[string]http.HandlerFunc{
		"/v1/files/content?path=..": s.serveWriteFile, "/v1/patch?max_bytes=-1": s.servePatch, "/v1/sync": s.serveSync,
	} {
		t.Run(path, func(t *testing.T) {
			l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewUnstartedServer(handler)
			_ = server.Listener.Close()
			server.Listener = l
			server.Start()
			defer server.Close()
			client, err := net.Dial("unix", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			_ = client.SetDeadline(time.Now().Add(time.Minute))
			const size = 4 << 20 // more than a socket holds
			_, _ = fmt.Fprintf(client, "PUT %s HTTP/1.1\r\nHost: pyro\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", path, size)
			response, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil || response.StatusCode != http.StatusBadRequest {
				t.Fatalf("%v: %v", response, err)
			}
			_ = response.Body.Close()
			if n, err := client.Write(make([]byte, size)); err != nil {
				t.Errorf("after %d bytes: %v", n, err)
			}
		})
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
