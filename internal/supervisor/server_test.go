package supervisor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

func TestErrorStatuses(t *testing.T) {
	for kind, want := range map[api.Kind]int{
		api.Invalid: 400, api.Denied: 403, api.NotFound: 404, api.Conflict: 409, api.Exists: 409, api.Expired: 410,
		api.Timeout: 504, api.Unavailable: 503, api.Unsupported: 501, api.Internal: 500, "made up": 500,
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := httptest.NewRecorder()
			fail(w, fmt.Errorf("again: %w", &api.Error{Kind: kind, Op: "op", ID: "id", Hint: "hint", Err: errors.New("cause")}))
			if w.Code != want || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("status %d of type %s, want %d", w.Code, w.Header().Get("Content-Type"), want)
			}
			var got api.ErrorReply
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(api.ErrorReply{Error: "again: op id: cause", Kind: kind, Hint: "hint"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("of no kind", func(t *testing.T) {
		w := httptest.NewRecorder()
		fail(w, errors.New("oops"))
		if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"internal"`) {
			t.Errorf("status %d, %s", w.Code, w.Body)
		}
	})
}

func TestDecode(t *testing.T) {
	for name, test := range map[string]struct {
		body io.Reader
		ok   bool
	}{
		"request":          {strings.NewReader(`{"argv":["true"]}`), true},
		"nothing":          {strings.NewReader(""), false},
		"no JSON":          {strings.NewReader("argv"), false},
		"half":             {strings.NewReader(`{"argv":["true"`), false},
		"another type":     {strings.NewReader(`{"argv":"true"}`), false},
		"number too large": {strings.NewReader(`{"timeout_seconds":99999999999999999999}`), false},
		"just fits":        {bytes.NewReader(command(maxBody)), true},
		"too long":         {bytes.NewReader(command(maxBody + 1)), false},
		"endless":          {io.MultiReader(strings.NewReader(`{"command":"`), endless{}), false},
	} {
		t.Run(name, func(t *testing.T) {
			var req api.ExecRequest
			err := decode(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/exec", test.body), &req)
			if (err == nil) != test.ok || err != nil && !errors.Is(err, api.Invalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// command is a request of that many bytes.
func command(size int) []byte {
	const begin, end = `{"command":"`, `"}`
	return []byte(begin + strings.Repeat("x", size-len(begin)-len(end)) + end)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestMethodsAndPaths(t *testing.T) {
	s := &supervisor{Config: Config{Version: "v9"}}
	for _, target := range []string{"POST /v1/hello", "PUT /v1/workspace", "GET /v1/exec", "GET /", "GET /v2/hello", "GET /v1/hello/", "DELETE /v1/exec"} {
		method, path, _ := strings.Cut(target, " ")
		w := httptest.NewRecorder()
		s.routes().ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != http.StatusNotImplemented || !strings.Contains(w.Body.String(), target+" is not known to pyro v9") {
			t.Errorf("%s: status %d, %s", target, w.Code, w.Body)
		}
	}
}

func TestHello(t *testing.T) {
	w := httptest.NewRecorder()
	(&supervisor{Config: Config{Version: "v9"}}).routes().ServeHTTP(w, httptest.NewRequest("GET", "/v1/hello", nil))
	var got api.Hello
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := api.Hello{Version: "v9", API: 1, Capabilities: []string{"exec", "exec-frames", "delete", "stop", "update", "logs", "sync", "shells", "services", "secrets", "events", "summary", "files", "patch", "snapshots", "reset", "forks", "diff"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSocketsArePrivate(t *testing.T) {
	b := newBench(t)
	b.start(t, aWorkspace())
	for _, name := range []string{ControlSocket, AgentSocket} {
		wantMode(t, b.store.RunDir(testID)+"/"+name, 0o600)
	}
}

func TestReadLaunch(t *testing.T) {
	good := workspace.Launch{Kind: workspace.KindRun, Lease: true, Request: api.CreateRequest{Environment: "host"}}
	for name, test := range map[string]struct {
		said string
		says string
	}{
		"as it should be":   {`{"kind":"run","lease":true,"request":{"environment":"host"}}` + "\n", ""},
		"of a newer client": {`{"kind":"run","lease":true,"request":{"environment":"host"},"new":1}` + "\n", ""},
		"hangs up":          {"", "reading the launch request"},
		"half a line":       {`{"kind":"run"`, "launch request: unexpected end"},
		"no JSON":           {"run\n", "launch request: "},
		"no kind":           {"{}\n", `unknown kind ""`},
		"unknown kind":      {`{"kind":"daemon"}` + "\n", `unknown kind "daemon"`},
		"too long":          {strings.Repeat(" ", maxLaunch) + "{}\n", "reading the launch request"},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := pipe(t)
			go func() { // ends when all is read, or with the pipe
				_, _ = io.WriteString(ours, test.said)
				if test.says != "" { // a client that gets what it wants stays
					_ = ours.Close()
				}
			}()
			got, err := readLaunch(theirs, bufio.NewReader(theirs))
			if test.says == "" {
				if diff := cmp.Diff(good, got); diff != "" || err != nil {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}

func TestRefuseTellsTheClient(t *testing.T) {
	ours, theirs := pipe(t)
	go func() { _ = Refuse(theirs, &api.Error{Kind: api.Conflict, Hint: "wait", Err: errors.New("full")}) }() // ends when it is read
	line, err := bufio.NewReader(ours).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var got workspace.Launched
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	want := workspace.Launched{Error: &api.ErrorReply{Error: "full", Kind: api.Conflict, Hint: "wait"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHangup(t *testing.T) {
	t.Run("is told", func(t *testing.T) {
		ours, theirs := pipe(t)
		gone := make(chan struct{})
		h := watchHangup(theirs, func() { close(gone) })
		if _, err := ours.Write([]byte("a newer client says more")); err != nil {
			t.Fatal(err)
		}
		_ = ours.Close()
		select {
		case <-gone:
		case <-time.After(30 * time.Second):
			t.Fatal("nobody was told")
		}
		h.Stop()
	})
	t.Run("not after Stop, and the connection stays", func(t *testing.T) {
		ours, theirs := pipe(t)
		h := watchHangup(theirs, func() { t.Error("told of a hang-up") })
		h.Stop()
		go func() { // ends when it is read
			_, _ = ours.Write([]byte("x"))
			_ = ours.Close()
		}()
		if got, err := io.ReadAll(theirs); string(got) != "x" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	})
}
