package pyro

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// atRest puts a workspace into the state that nobody is at.
func atRest(t *testing.T, c *Client, state api.State) *Workspace {
	t.Helper()
	if err := record(t, c, testID, state).Unlock(); err != nil {
		t.Fatal(err)
	}
	return c.attach(testID, nil)
}

func TestStart(t *testing.T) {
	c := newTestClient(t, roleServe)
	atRest(t, c, api.StateStopped)
	ws, err := c.Start(t.Context(), testID, api.StartRequest{Previous: true})
	if err != nil || ws.ID() != testID || ws.Seen().State != api.StateStarted {
		t.Fatalf("Start = %+v, %v", ws, err)
	}
	var launch workspace.Launch
	if err := json.Unmarshal([]byte(ws.Seen().Metadata["launch"]), &launch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(workspace.Launch{Kind: workspace.KindWorkspace, Start: &api.StartRequest{Previous: true}}, launch); diff != "" {
		t.Errorf("launch (-want +got):\n%s", diff)
	}
	if _, err := ws.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the supervisor ends", marked(c, "deleted"))
}

func TestStartOfOneThatRuns(t *testing.T) {
	c := newTestClient(t, roleDie) // nothing is to be started
	record(t, c, testID, api.StateStarted)
	serve(t, c, supervisorScript{status: itRuns})
	ws, err := c.Start(t.Context(), testID, api.StartRequest{})
	if err != nil || ws.Seen().State != api.StateStarted {
		t.Errorf("Start = %+v, %v", ws, err)
	}
}

func itRuns(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, api.Workspace{WorkspaceID: testID, State: api.StateStarted, AgentSocket: new("agent.sock")})
}

func TestStartFromAnotherDiskOfOneThatRuns(t *testing.T) {
	for name, req := range map[string]api.StartRequest{"previous": {Previous: true}, "snapshot": {Reset: "s1"}} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, "")
			record(t, c, testID, api.StateStarted)
			serve(t, c, supervisorScript{status: itRuns})
			if _, err := c.Start(t.Context(), testID, req); !errors.Is(err, api.Conflict) || api.HintOf(err) == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	reason := "idle"
	for name, tc := range map[string]struct {
		ctx    context.Context
		role   string
		state  api.State // of one that somebody holds; empty: nobody does
		script *supervisorScript
		want   api.Kind
		text   string
	}{
		"refused":                        {ctx: t.Context(), role: roleRefuse, want: api.Unsupported, text: "no engine"},
		"its supervisor dies":            {ctx: t.Context(), role: roleDie, want: api.Internal, text: "no luck"},
		"somebody keeps it":              {ctx: t.Context(), role: roleHeld, want: api.Conflict, text: "workspace is locked"},
		"somebody starts it and goes on": {ctx: t.Context(), role: roleDie, state: api.StateStarted, want: api.Unavailable, text: "no supervisor answers"},
		"it ends, and does not come to it": {ctx: t.Context(), role: roleDie, state: api.StateStarted, script: &supervisorScript{status: func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, http.StatusOK, api.Workspace{WorkspaceID: testID, State: api.StateStarted, Reason: &reason})
		}}, want: api.Unavailable, text: "no supervisor answers"},
		"nobody waits": {ctx: canceled, role: roleHeld, want: api.Canceled, text: "start workspace"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, tc.role)
			if tc.state != "" {
				record(t, c, testID, tc.state)
			} else {
				atRest(t, c, api.StateStopped)
			}
			if tc.script != nil {
				serve(t, c, *tc.script)
			}
			ws, err := c.Start(tc.ctx, testID, api.StartRequest{})
			if ws != nil || api.KindOf(err) != tc.want || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("Start = %v, %v of kind %q, want kind %q and %q", ws, err, api.KindOf(err), tc.want, tc.text)
			}
		})
	}
	c := newTestClient(t, roleDie)
	if _, err := c.Start(t.Context(), testID, api.StartRequest{}); !errors.Is(err, api.NotFound) {
		t.Errorf("Start of nothing: %v", err)
	}
}

func TestStop(t *testing.T) {
	var asked api.StopRequest
	reason := workspace.ReasonStopped
	want := api.Workspace{WorkspaceID: testID, State: api.StateStopped, Reason: &reason}
	ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{"POST /v1/stop": func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		answerJSON(w, http.StatusOK, want)
	}}})
	got, err := ws.Stop(t.Context(), api.StopRequest{Discard: true})
	if err != nil || !asked.Discard {
		t.Errorf("%v, asked %+v", err, asked)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("Stop (-want +got):\n%s", diff)
	}
}

func TestStopWithoutAnAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		state  api.State
		cut    bool // the supervisor goes away in the middle
		req    api.StopRequest
		kind   api.Kind // "": it worked
		text   string
		reason string
	}{
		"of a stopped one":                 {state: api.StateStopped},
		"of a lost one":                    {state: api.StateStarted, reason: workspace.ReasonSupervisorLost},
		"whose supervisor is killed":       {state: api.StateStarted, cut: true, kind: api.Unavailable, text: "what was written since it was last saved is lost"},
		"that gives the disk up":           {state: api.StateStarted, cut: true, req: api.StopRequest{Discard: true}, reason: workspace.ReasonSupervisorLost},
		"whose answer alone got lost":      {state: api.StateStopped, cut: true},
		"of one that somebody just starts": {state: api.StateCreated, kind: api.Unavailable, text: "no supervisor answers"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, "")
			held := record(t, c, testID, tc.state)
			if tc.state != api.StateCreated {
				if err := held.Unlock(); err != nil {
					t.Fatal(err)
				}
			}
			ws := c.attach(testID, nil)
			if tc.cut {
				ws = serve(t, c, supervisorScript{more: map[string]http.HandlerFunc{"POST /v1/stop": hangUp}})
			}
			got, err := ws.Stop(t.Context(), tc.req)
			switch {
			case tc.kind == "" && (err != nil || got.State != api.StateStopped || tc.reason != "" && *got.Reason != tc.reason):
				t.Errorf("Stop = %+v, %v", got, err)
			case tc.kind != "" && (api.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.text) || api.HintOf(err) == ""):
				t.Errorf("error %v of kind %q with hint %q, want kind %q and %q", err, api.KindOf(err), api.HintOf(err), tc.kind, tc.text)
			}
		})
	}
}

// A supervisor that was started by an older pyro does not know everything.
func TestOlderSupervisor(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		answerError(w, http.StatusNotImplemented, api.Unsupported, "POST /v1/stop is not known to pyro 0.1.0", "")
	}
	ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{"POST /v1/stop": refuse}})
	_, err := ws.Stop(t.Context(), api.StopRequest{})
	if !errors.Is(err, api.Unsupported) || !strings.Contains(err.Error(), "pyro 0.1.0") || !strings.Contains(api.HintOf(err), "another version") {
		t.Errorf("error %v with hint %q", err, api.HintOf(err))
	}
}

func TestUpdate(t *testing.T) {
	name := "new"
	req := api.UpdateRequest{Name: &name, Labels: map[string]string{"k": "v"}}
	t.Run("by the supervisor", func(t *testing.T) {
		var asked api.UpdateRequest
		ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{"PATCH /v1/workspace": func(w http.ResponseWriter, r *http.Request) {
			if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
				t.Error(err)
			}
			answerJSON(w, http.StatusOK, api.Workspace{WorkspaceID: testID, Name: &name})
		}}})
		got, err := ws.Update(t.Context(), req)
		if err != nil || *got.Name != name {
			t.Errorf("Update = %+v, %v", got, err)
		}
		if diff := cmp.Diff(req, asked); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
	})
	t.Run("of a stopped one", func(t *testing.T) {
		c := newTestClient(t, "")
		got, err := atRest(t, c, api.StateStopped).Update(t.Context(), req)
		if err != nil || *got.Name != name || got.Labels["k"] != "v" {
			t.Errorf("Update = %+v, %v", got, err)
		}
		if _, err := c.attach(testID, nil).Update(t.Context(), req); !errors.Is(err, api.Invalid) {
			t.Errorf("without an effect: %v", err)
		}
	})
	t.Run("of nothing", func(t *testing.T) {
		if _, err := newTestClient(t, "").attach(testID, nil).Update(t.Context(), req); !errors.Is(err, api.NotFound) {
			t.Error(err)
		}
	})
}

// Who updates a stopped workspace waits for another who is just at it.
func TestUpdateWaitsItsTurn(t *testing.T) {
	c := newTestClient(t, "")
	c.patience = 10 * time.Second
	held := record(t, c, testID, api.StateStopped)
	name := "new"
	done := make(chan error, 1)
	go func() {
		_, err := c.attach(testID, nil).Update(t.Context(), api.UpdateRequest{Name: &name})
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A command that meets a workspace which is just being started waits for it.
func TestExecWaitsForTheStart(t *testing.T) {
	c := newTestClient(t, "")
	c.patience = 10 * time.Second
	record(t, c, testID, api.StateStarted)
	done := make(chan error, 1)
	go func() {
		_, err := c.attach(testID, nil).Exec(t.Context(), api.ExecRequest{Argv: []string{"true"}})
		done <- err
	}()
	serve(t, c, supervisorScript{})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLogs(t *testing.T) {
	t.Run("by the supervisor", func(t *testing.T) {
		ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{"GET /v1/logs": func(w http.ResponseWriter, r *http.Request) {
			if got := r.URL.Query().Get("last"); got != "3" {
				t.Errorf("the last %q were asked for", got)
			}
			answerJSON(w, http.StatusOK, api.WorkspaceLogs{WorkspaceID: testID, Count: 1, Entries: make([]api.LogEntry, 1)})
		}}})
		if logs, err := ws.Logs(t.Context(), 3); err != nil || logs.Count != 1 {
			t.Errorf("Logs = %+v, %v", logs, err)
		}
	})
	t.Run("of a stopped one", func(t *testing.T) {
		logs, err := atRest(t, newTestClient(t, ""), api.StateStopped).Logs(t.Context(), 0)
		if err != nil || logs.Count != 0 || logs.Entries == nil {
			t.Errorf("Logs = %+v, %v", logs, err)
		}
	})
	t.Run("of nothing", func(t *testing.T) {
		if _, err := newTestClient(t, "").attach(testID, nil).Logs(t.Context(), 0); !errors.Is(err, api.NotFound) {
			t.Error(err)
		}
	})
}

// project is a directory with one file of that many bytes.
func project(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, size), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSeedIsSent(t *testing.T) {
	for name, tc := range map[string]struct {
		role string
		size int
		kind api.Kind
		text string
	}{
		"whole":                    {roleSeed, 100 << 10, api.Conflict, fmtEnd},
		"a piece of it is refused": {roleFull, 64 << 20, api.Unavailable, "no space left"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newTestClient(t, tc.role).Create(t.Context(), "host", &CreateOptions{Seed: &Source{Path: project(t, tc.size)}})
			if api.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error %v of kind %q, want %q and %q", err, api.KindOf(err), tc.kind, tc.text)
			}
		})
	}
}

// fmtEnd is how describeSeed shows that all came.
const fmtEnd = `{"skipped":0}`

// What is wrong with a seed is told to the supervisor, and what that makes of it to
// the caller.
func TestSeedThatCannotBePacked(t *testing.T) {
	dir := project(t, 1)
	mkfifo(t, filepath.Join(dir, "pipe"))
	_, err := newTestClient(t, roleSeed).Create(t.Context(), "host", &CreateOptions{Seed: &Source{Path: dir}})
	if err == nil || !strings.Contains(err.Error(), "pipe") || strings.Contains(err.Error(), fmtEnd) {
		t.Errorf("error %v", err)
	}
}

func TestSeedCanceled(t *testing.T) {
	c := newTestClient(t, roleHang) // which reads one byte and no more
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	dir := project(t, 64<<20)
	go func() {
		_, err := c.Create(ctx, "host", &CreateOptions{Seed: &Source{Path: dir}})
		done <- err
	}()
	eventually(t, "the supervisor is asked", marked(c, "asked"))
	cancel()
	if err := <-done; !errors.Is(err, api.Canceled) {
		t.Error(err)
	}
}
