package httpapi

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// lease makes a workspace that lives as long as the connection.
func (s *site) lease() (*api.Workspace, *talk) {
	s.t.Helper()
	k := s.dial()
	body := `{"environment":"host"}`
	_, err := io.WriteString(k, "POST /v1/workspaces?lease=true HTTP/1.1\r\nHost: pyro\r\nContent-Type: application/json\r\nContent-Length: "+
		strconv.Itoa(len(body))+"\r\n\r\n"+body)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.ReadResponse(k.in, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	var made api.Workspace
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("status %d: %v", res.StatusCode, err)
	}
	return &made, k
}

func (s *site) isGone(id string) bool {
	_, err := s.client.Get(s.t.Context(), id)
	return api.KindOf(err) == api.NotFound
}

func TestLeaseEndsWithItsClient(t *testing.T) {
	for name, leave := range map[string]func(*talk){
		"that leaves":                 func(k *talk) { _ = k.Close() },
		"that says more before it":    func(k *talk) { _, _ = io.WriteString(k, "G"); _ = k.Close() },
		"that says it has said all":   func(k *talk) { _ = k.Conn.(interface{ CloseWrite() error }).CloseWrite() },
		"that begins another request": func(k *talk) { _, _ = io.WriteString(k, "GET /v1/hello HTTP/1.1\r\n"); _ = k.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			s.server.pulse = pulse / 1000
			made, k := s.lease()
			exec := got[api.WorkspaceExec](t, s.ask("POST", "/v1/workspaces/"+made.WorkspaceID+"/exec", api.ExecRequest{Argv: []string{"true"}}))
			if exec.ExitCode != 0 {
				t.Errorf("exit code %d", exec.ExitCode)
			}
			leave(k)
			eventually(t, "it is removed", func() bool { return s.isGone(made.WorkspaceID) })
		})
	}
}

func TestLeaseEndsWithTheServer(t *testing.T) {
	s := serve(t)
	made, k := s.lease()
	s.stop()
	if _, err := io.Copy(io.Discard, k.in); err != nil {
		t.Error(err)
	}
	if !s.isGone(made.WorkspaceID) {
		t.Error("the connection is closed, and the workspace is there")
	}
}

func TestLeaseIsDeletedByHand(t *testing.T) {
	s := serve(t)
	made, k := s.lease()
	deleted := got[api.WorkspaceDelete](t, s.ask("DELETE", "/v1/workspaces/"+made.WorkspaceID, nil))
	if !deleted.Deleted {
		t.Errorf("%+v", deleted)
	}
	_ = k.Close()
	eventually(t, "nothing waits", func() bool { return s.server.busy.Load() == 0 })
}

// supervisorOf finds the process of a workspace that runs.
func supervisorOf(t *testing.T, id string) *os.Process {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil || !strings.HasSuffix(string(text), "\x00supervise\x00"+id+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		process, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		return process
	}
	t.Fatal("nobody supervises " + id)
	return nil
}

func TestSupervisorIsKilledInTheMiddle(t *testing.T) {
	s := serve(t)
	ws := s.create()
	at := "/v1/workspaces/" + ws.ID()
	answers := make(chan reply, 1)
	go func() { // ends with the call
		answers <- s.ask("POST", at+"/exec", api.ExecRequest{Command: "touch begun; exec sleep 1000", TimeoutSeconds: 1000})
	}()
	k := s.frames("POST", at+"/exec", api.ExecRequest{Command: "echo up; exec sleep 1000", TimeoutSeconds: 1000})
	k.next(t)
	eventually(t, "the command runs", func() bool {
		_, err := ws.Files().Stat(t.Context(), "begun")
		return err == nil
	})
	if err := supervisorOf(t, ws.ID()).Kill(); err != nil {
		t.Fatal(err)
	}
	captured := <-answers
	if e := captured.failure(t); captured.status != http.StatusBadGateway || e.Kind != api.Unavailable || !strings.Contains(e.Hint, "pyro workspace status") {
		t.Errorf("status %d, %+v", captured.status, e)
	}
	if _, err := io.Copy(io.Discard, k.in); err != nil {
		t.Errorf("the stream: %v", err)
	}
	eventually(t, "nothing waits", func() bool { return s.server.busy.Load() == 0 })
	if now := got[api.Workspace](t, s.ask("GET", at, nil)); now.State != api.StateStopped {
		t.Errorf("it is %s", now.State)
	}
	after := s.ask("POST", at+"/exec", api.ExecRequest{Argv: []string{"true"}})
	if e := after.failure(t); after.status != http.StatusConflict || e.Kind != api.Conflict {
		t.Errorf("then: status %d, %+v", after.status, e)
	}
}

// TestStoppedWorkspacesAnswerFromTheirRecord compares with what the SDK says.
func TestStoppedWorkspacesAnswerFromTheirRecord(t *testing.T) {
	s := serve(t)
	ws := s.create()
	if _, err := ws.Exec(t.Context(), api.ExecRequest{Argv: []string{"echo", "one"}}); err != nil {
		t.Fatal(err)
	}
	at := "/v1/workspaces/" + ws.ID()
	s.ask("GET", at+"/logs", nil) // the connection to its supervisor is kept
	if _, err := ws.Stop(t.Context(), api.StopRequest{}); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		"/logs": `"echo one"`, "/logs?last=0&all=true": `"echo one"`, "/events": `"stopped"`, "/events?after=4000000000": `"count":0`,
		"/summary": `"state":"stopped"`, "/services": `"count":0`, "/shells": `"count":0`, "/secrets": `"count":0`,
		"/snapshots": `"kind":"baseline"`, "/disk/list": `"entries"`,
	} {
		if got := s.ask("GET", at+path, nil); got.status != http.StatusOK || !strings.Contains(string(got.body), says) {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
	}
	out, last, end := s.frames("POST", at+"/events/follow", nil).rest(t)
	if last != 'x' || !strings.Contains(out, `"stopped"`) || !strings.Contains(end, `"last_sequence"`) {
		t.Errorf("events end with %q %s after %s", last, end, out)
	}
	if got := s.ask("GET", at+"/logs?last=1", nil); got.status != http.StatusOK {
		t.Errorf("status %d: %s", got.status, got.body)
	}
	started := got[api.Workspace](t, s.ask("POST", at+"/start", api.StartRequest{}))
	exec := got[api.WorkspaceExec](t, s.ask("POST", at+"/exec", api.ExecRequest{Argv: []string{"echo", "two"}}))
	if started.State != api.StateStarted || exec.Stdout != "two\n" {
		t.Errorf("after a start: %s, %q", started.State, exec.Stdout)
	}
}

// TestOthersChangeAWorkspace deletes and stops what the server keeps at hand.
func TestOthersChangeAWorkspace(t *testing.T) {
	s := serve(t)
	ws := s.create()
	at := "/v1/workspaces/" + ws.ID()
	got[api.SecretList](t, s.ask("GET", at+"/secrets", nil))
	if _, err := ws.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/secrets", "", "/files/stat?path=x", "/logs", "/disk/list"} {
		if got := s.ask("GET", at+path, nil); got.status != http.StatusNotFound {
			t.Errorf("GET %s: status %d: %s", path, got.status, got.body)
		}
	}
	s.server.known.mu.Lock()
	defer s.server.known.mu.Unlock()
	if len(s.server.known.all) != 0 {
		t.Errorf("%d are kept that are gone", len(s.server.known.all))
	}
}

func TestFewWorkspacesAreKeptAtHand(t *testing.T) {
	k := known{all: make(map[string]handle)}
	for i := range maxKnown {
		k.all[strconv.Itoa(i)] = handle{}
	}
	client := newClient(t)
	ws, err := client.Create(t.Context(), "host", &pyro.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.get(t.Context(), client, ws.ID()); err != nil || len(k.all) != maxKnown {
		t.Errorf("%d are kept, %v", len(k.all), err)
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	s := serveAt(t, newClient(t), Place{PrivateIn: shortDir(t)}, Options{
		MCP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				_, _ = io.WriteString(w, strings.Repeat("half of it ", 1<<10))
			}
			panic("a fault")
		}),
	})
	got := s.ask("POST", "/mcp", "{}")
	if e := got.failure(t); got.status != http.StatusInternalServerError || e.Kind != api.Internal || strings.Contains(e.Error, "a fault") {
		t.Errorf("status %d, %+v", got.status, e)
	}
	k := s.dial()
	if _, err := io.WriteString(k, "DELETE /mcp HTTP/1.1\r\nHost: pyro\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(k), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Error("half an answer looks whole")
	}
	if !strings.Contains(s.log.String(), "a fault") {
		t.Error("nothing is in the log")
	}
}
