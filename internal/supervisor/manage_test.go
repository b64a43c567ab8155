package supervisor

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

func TestUpdate(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	name := "new"
	var ws api.Workspace
	if f := r.call(t, "PATCH", "/v1/workspace", api.UpdateRequest{Name: &name, Labels: map[string]string{"a": "b"}, TTLSeconds: 60}, &ws); f != nil {
		t.Fatalf("%+v", *f)
	}
	if *ws.Name != "new" || ws.Labels["a"] != "b" || ws.TTLSeconds != 60 || ws.ExpiresAt.Time().After(time.Now().Add(61*time.Second)) {
		t.Errorf("%+v", ws)
	}
	stored, err := workspace.Read(b.store, testID)
	if err != nil || stored.Request.Name != "new" {
		t.Errorf("%+v, %v", stored, err)
	}
	if f := r.call(t, "PATCH", "/v1/workspace", api.UpdateRequest{Name: &name}, &ws); f == nil || f.Kind != api.Invalid {
		t.Errorf("without an effect: %+v", f)
	}
}

// A time to live that is set anew counts for the end of the workspace.
func TestUpdatedExpiryStrikes(t *testing.T) {
	b := newBench(t)
	b.cfg.Policy.MinTTLSeconds = 1
	r := b.start(t, aWorkspace())
	var ws api.Workspace
	if f := r.call(t, "PATCH", "/v1/workspace", api.UpdateRequest{TTLSeconds: 1}, &ws); f != nil {
		t.Fatalf("%+v", *f)
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	if err := workspace.Missing(b.store, testID); api.KindOf(err) != api.Expired {
		t.Error(err)
	}
	b.wantNothing(t)
}

func TestLogs(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	var logs api.WorkspaceLogs
	if f := r.call(t, "GET", "/v1/logs", nil, &logs); f != nil || logs.Count != 0 || logs.Entries == nil {
		t.Errorf("of nothing: %+v, %+v", logs, f)
	}
	var result api.WorkspaceExec
	r.call(t, "POST", "/v1/exec", api.ExecRequest{Argv: []string{"sh", "-c", "echo out; echo err >&2; exit 3"}}, &result)
	r.call(t, "POST", "/v1/exec", api.ExecRequest{Command: "head -c 3000000 /dev/zero | tr '\\0' x"}, &result)
	if f := r.call(t, "GET", "/v1/logs", nil, &logs); f != nil || logs.Count != 2 {
		t.Fatalf("%d entries, %+v", logs.Count, f)
	}
	want := api.LogEntry{
		LastCommand: api.LastCommand{
			Sequence: 1, Command: `sh -c 'echo out; echo err >&2; exit 3'`, Cwd: "/workspace", ExitCode: 3, ExecutionMode: api.ModeGuestVsock,
		},
		Stdout: "out\n", Stderr: "err\n",
	}
	if diff := cmp.Diff(want, logs.Entries[0], cmpopts.IgnoreFields(api.LogEntry{}, "DurationMS", "RecordedAt")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if long := logs.Entries[1]; !long.StdoutTruncated || len(long.Stdout) > maxKept+100 || !strings.Contains(long.Stdout, "truncated") {
		t.Errorf("%d bytes of a long output are kept, truncated %v", len(long.Stdout), long.StdoutTruncated)
	}
	if f := r.call(t, "GET", "/v1/logs?last=1", nil, &logs); f != nil || logs.Count != 1 || logs.Entries[0].Sequence != 2 {
		t.Errorf("the last one: %+v, %+v", logs, f)
	}
	if f := r.call(t, "GET", "/v1/logs?last=x", nil, &logs); f == nil || f.Kind != api.Invalid {
		t.Errorf("the last x: %+v", f)
	}
	r.stop(t)
	stopped, err := workspace.ReadLogs(t.Context(), b.store, testID, 0, false)
	if err != nil || stopped.Count != 2 {
		t.Errorf("of the stopped one: %+v, %v", stopped, err)
	}
}

// The client that asked for a command may go away: what becomes of it is still known.
func TestLogsKnowTheEndThatTheClientDidNotSee(t *testing.T) {
	b := newBench(t)
	r, launched := b.launch(t, b.cfg, aWorkspace())
	conn, in := r.upgrade(t, launched.ControlSocket, api.ExecRequest{Argv: []string{"sh", "-c", "echo begun; sleep 3000"}})
	one := make([]byte, 5+len("begun\n"))
	if _, err := in.Read(one); err != nil {
		t.Fatal(err)
	}
	var logs api.WorkspaceLogs
	if f := r.call(t, "GET", "/v1/logs", nil, &logs); f != nil || logs.Count != 1 || *logs.Entries[0].Reason != api.EndedRunning {
		t.Errorf("while it runs: %+v, %+v", logs, f)
	}
	_ = conn.Close()
	for logs.Count == 0 || logs.Entries[0].Reason != nil && *logs.Entries[0].Reason == api.EndedRunning {
		r.call(t, "GET", "/v1/logs", nil, &logs)
	}
	if got := logs.Entries[0]; got.Stdout != "begun\n" || got.ExitCode == 0 || got.Reason == nil || *got.Reason != api.EndedByCancel {
		t.Errorf("%+v", got)
	}
}

// Who stopped a workspace has ended what ran in it, and the history does not wonder.
func TestLogsKnowWhatAStopEnded(t *testing.T) {
	b := newBench(t)
	r, launched := b.launch(t, b.cfg, aWorkspace())
	conn, in := r.upgrade(t, launched.ControlSocket, api.ExecRequest{Argv: []string{"sh", "-c", "echo begun; sleep 3000"}})
	defer func() { _ = conn.Close() }()
	one := make([]byte, 5+len("begun\n"))
	if _, err := in.Read(one); err != nil {
		t.Fatal(err)
	}
	r.stop(t)
	logs, err := workspace.ReadLogs(t.Context(), b.store, testID, 0, false)
	if err != nil || logs.Count != 1 {
		t.Fatalf("%+v, %v", logs, err)
	}
	if got := logs.Entries[0]; got.Stdout != "begun\n" || got.ExitCode != -1 || got.Reason == nil || *got.Reason != api.EndedByStop {
		t.Errorf("%+v", got)
	}
}
