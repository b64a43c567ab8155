package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// step is one request of a story, by the id of its operation.
type step struct {
	id     string
	with   string // in place of wildcards, in their order
	query  string
	body   any
	status int    // 0: 200, or the upgrade of a route that has frames alone
	says   string // is in the answer, or in the frames
}

// story asks for everything once, in an order in which it can be had. Commands run on this
// machine, as all of them do on the fake engine.
func story() []step {
	return []step{
		{id: "hello", says: `"api":1`},
		{id: "openapi", says: `"openapi"`},
		{id: "metrics", says: "pyro_workspaces"},
		{id: "mcpListen", status: http.StatusTeapot},
		{id: "mcpSend", body: map[string]any{}, status: http.StatusTeapot},
		{id: "mcpEnd", status: http.StatusTeapot},
		{id: "listEnvironments", says: `"name":"host"`},
		{id: "doctor", query: "environment=host", says: `"platform":"asked about host"`},
		{id: "prepare", body: api.PrepareRequest{Environment: "host"}, says: `"executed":true`},
		{id: "run", body: api.RunRequest{Workspace: api.CreateRequest{Environment: "host"}, Exec: api.ExecRequest{Argv: []string{"echo", "ran"}}}, says: `"stdout":"ran\n"`},

		{id: "createWorkspace", body: api.CreateRequest{Environment: "host", Name: "one"}, says: `"name":"one"`},
		{id: "listWorkspaces", says: `"count":1`},
		{id: "getWorkspace", says: `"state":"started"`},
		{id: "updateWorkspace", body: api.UpdateRequest{Labels: map[string]string{"a": "b"}}, says: `"labels":{"a":"b"}`},
		{id: "exec", body: api.ExecRequest{Command: "echo hi >new"}, says: `"exit_code":0`},
		{id: "logs", query: "last=1", says: "echo hi"},
		{id: "makeDirectory", body: api.FileMkdirRequest{Path: "dir"}, says: `"created":true`},
		{id: "writeFile", query: "path=dir/a", body: strings.NewReader("text\n"), says: `"bytes_written":5`},
		{id: "statFile", query: "path=dir/a", says: `"size_bytes":5`},
		{id: "readFile", query: "path=dir/a&base64=true", says: `"content":"text\n"`},
		{id: "readFileContent", query: "path=dir/a", says: "text\n"},
		{id: "moveFile", body: api.FileMoveRequest{From: "dir/a", To: "dir/b"}, says: `"replaced":false`},
		{id: "listFiles", query: "path=.&recursive=true", says: "/workspace/dir/b"},
		{id: "applyPatch", body: strings.NewReader(somePatch), says: `"changed":true`},
		{id: "diff", says: "patched"},
		{id: "changes", says: "patched"},
		{id: "exportTree", query: "path=dir", says: "text\n"},
		{id: "deleteFile", query: "path=dir&recursive=true", says: `"deleted":true`},
		{id: "comparePush", query: "destination=in", body: strings.NewReader(""), says: `"count":0`},
		{id: "push", query: "destination=in&packed_at=1&mode=tar_archive", body: bytes.NewReader(tarOf("pushed", "yes")), says: `"entry_count":1`},
		{id: "setSecret", with: "token", body: map[string]string{"value": "swordfish-swordfish", "source_kind": "literal"}, says: `"name":"token"`},
		{id: "listSecrets", says: `"name":"token"`},
		{id: "unsetSecret", with: "token", says: `"count":0`},
		{id: "openShell", body: api.ShellOpenRequest{}, says: `"state":"running"`},
		{id: "listShells", says: `"count":1`},
		{id: "getShell", with: "SHELL", says: `"shell_id"`},
		{id: "resizeShell", with: "SHELL", body: api.TerminalSize{Cols: 90, Rows: 30}, says: `"cols":90`},
		{id: "writeShell", with: "SHELL", body: api.ShellWriteRequest{Input: "echo $((6*7))x", AppendNewline: true}, says: `"input_length"`},
		{id: "readShell", with: "SHELL", query: "plain=true&wait_for_idle_ms=500", says: "42x"},
		{id: "signalShell", with: "SHELL", body: api.ShellSignalRequest{Signal: "INT"}, says: `"signal":"INT"`},
		{id: "attachShell", with: "SHELL", body: api.ShellAttachRequest{}, says: "42x"},
		{id: "closeShell", with: "SHELL", says: `"closed":true`},
		{id: "startService", body: api.ServiceStartRequest{ServiceName: "web", Command: "echo serving; exec sleep 1000"}, says: `"state":"running"`},
		{id: "listServices", says: `"count":1`},
		{id: "getService", with: "web", says: `"service_name":"web"`},
		{id: "restartService", with: "web", says: `"state":"running"`},
		{id: "stopService", with: "web", says: `"state":"stopped"`},
		{id: "serviceLogs", with: "web", query: "tail_lines=1", says: `serving`},
		{id: "followService", with: "web", says: "serving"},
		{id: "createSnapshot", body: api.SnapshotRequest{SnapshotName: "then"}, says: `"snapshot_name":"then"`},
		{id: "listSnapshots", says: `"then"`},
		{id: "resetWorkspace", body: api.ResetRequest{Snapshot: "then"}, says: `"reset_count":1`},
		{id: "forkWorkspace", body: api.ForkRequest{Count: 2}, says: `"count":2`},
		{id: "deleteSnapshot", with: "then", says: `"deleted":true`},
		{id: "summary", says: `"status"`},
		{id: "listEvents", says: `"kind":"created"`},
		{id: "noteEvent", body: api.Event{Kind: api.EventExported, Path: new("/workspace/new")}, says: "{}"},
		{id: "stopWorkspace", body: api.StopRequest{}, says: `"state":"stopped"`},
		{id: "followEvents", query: "after=1", says: "stopped"},
		{id: "listDisk", query: "path=.", says: "/new"},
		{id: "readDisk", query: "path=new", says: `"content":"hi\n"`},
		{id: "exportDisk", query: "path=.", says: "hi\n"},
		{id: "startWorkspace", body: api.StartRequest{}, says: `"state":"started"`},
		{id: "deleteWorkspace", says: `"deleted":true`},

		{id: "createVM", body: api.CreateRequest{Environment: "host"}, says: `"state":"created"`},
		{id: "getVM", says: `"vm_id"`},
		{id: "vmNetwork", says: `"network_enabled":false`},
		{id: "startVM", says: `"state":"started"`},
		{id: "stopVM", says: `"state":"stopped"`},
		{id: "startVM", says: `"state":"started"`},
		{id: "execVM", body: api.ExecRequest{Argv: []string{"echo", "ran"}}, says: `"stdout":"ran\n"`},
		{id: "reapVMs", says: `"count":0`},
		{id: "createVM", body: api.CreateRequest{Environment: "host"}, says: `"state":"created"`},
		{id: "deleteVM", says: `"deleted":true`},
	}
}

const somePatch = `diff --git a/patched b/patched
new file mode 100644
--- /dev/null
+++ b/patched
@@ -0,0 +1 @@
+patched
`

// TestEveryRoute asks for everything there is.
func TestEveryRoute(t *testing.T) {
	s := serveAt(t, newClient(t), Place{PrivateIn: shortDir(t)}, Options{
		MCP:    http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
		Doctor: platformOf,
	})
	byID := make(map[string]route)
	for _, r := range routes() {
		if _, twice := byID[r.id]; twice {
			t.Errorf("there are two %s", r.id)
		}
		byID[r.id] = r
	}
	asked := make(map[string]bool)
	var workspace, shell string
	for _, step := range story() {
		r, ok := byID[step.id]
		if !ok {
			t.Fatalf("there is no %s", step.id)
		}
		asked[step.id] = true
		path := strings.Replace(r.path, "{id}", workspace, 1)
		with := strings.Replace(step.with, "SHELL", shell, 1)
		for _, name := range pathNames(path) {
			path = strings.Replace(path, "{"+name+"}", with, 1)
		}
		if step.query != "" {
			path += "?" + step.query
		}
		answer := s.take(r, path, step)
		if !strings.Contains(answer, step.says) {
			t.Fatalf("%s says %.400q, want %q in it", step.id, answer, step.says)
		}
		var ids struct {
			Workspace string `json:"workspace_id"`
			VM        string `json:"vm_id"`
			Shell     string `json:"shell_id"`
		}
		_ = json.Unmarshal([]byte(answer), &ids) // frames are none
		if ids.Shell != "" {
			shell = ids.Shell
		}
		if step.id == "createWorkspace" || step.id == "createVM" {
			workspace = ids.Workspace + ids.VM
		}
	}
	for id := range byID {
		if !asked[id] {
			t.Errorf("nobody asked for %s", id)
		}
	}
}

// take asks once and returns the answer: JSON, or what frames carried.
func (s *site) take(r route, path string, step step) string {
	s.t.Helper()
	if r.frames && r.answer == nil {
		k := s.frames(r.method, path, step.body)
		if r.endless && step.id == "attachShell" {
			_, out := k.next(s.t)
			_ = k.Close()
			return out
		}
		out, last, end := k.rest(s.t)
		if last != 'x' {
			s.t.Fatalf("%s failed: %s", step.id, end)
		}
		return out + end
	}
	got := s.ask(r.method, path, step.body)
	want := step.status
	if want == 0 {
		want = http.StatusOK
	}
	if got.status != want {
		s.t.Fatalf("%s: status %d: %s", step.id, got.status, got.body)
	}
	if kind := got.header.Get("Content-Type"); !r.open && kind != "application/json" {
		s.t.Errorf("%s answers %s", step.id, kind)
	}
	return string(got.body)
}
