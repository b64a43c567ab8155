package mcpserver

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro/api"
)

// ask calls a tool and returns its structured content, or the text of its error.
func ask[Out any](t *testing.T, s *mcp.ClientSession, tool string, arguments map[string]any) (Out, string) {
	t.Helper()
	var out Out
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if res.IsError {
		if res.StructuredContent != nil || len(res.Content) != 1 {
			t.Fatalf("%s: an error is text alone, got %v", tool, res)
		}
		return out, res.Content[0].(*mcp.TextContent).Text
	}
	raw, err := json.Marshal(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %v in %s", tool, err, raw)
	}
	return out, ""
}

// must is ask of what succeeds.
func must[Out any](t *testing.T, s *mcp.ClientSession, tool string, arguments map[string]any) Out {
	t.Helper()
	out, failure := ask[Out](t, s, tool, arguments)
	if failure != "" {
		t.Fatalf("%s: %s", tool, failure)
	}
	return out
}

func newWorkspace(t *testing.T, s *mcp.ClientSession) string {
	t.Helper()
	return must[api.Workspace](t, s, "workspace_create", map[string]any{"environment": "host"}).WorkspaceID
}

func TestExecAnswersWithTheResult(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	got := must[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": "echo out; echo err >&2; exit 3"})
	if got.Stdout != "out\n" || got.Stderr != "err\n" || got.ExitCode != 3 || got.Running || got.Truncated || got.ExecID != nil || got.Sequence != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestExecCutsLongOutput(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	got := must[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": "seq 100000; echo short >&2"})
	if len(got.Stdout) > maxAnswer+100 || !strings.HasPrefix(got.Stdout, "1\n2\n") || !strings.HasSuffix(got.Stdout, "99999\n100000\n") {
		t.Errorf("%d bytes, from %.10q to %q", len(got.Stdout), got.Stdout, got.Stdout[len(got.Stdout)-10:])
	}
	if !got.Truncated || !got.StdoutTruncated || got.StderrTruncated || got.StdoutBytes != 588895 || got.Stderr != "short\n" {
		t.Errorf("truncated %t %t %t, %d bytes", got.Truncated, got.StdoutTruncated, got.StderrTruncated, got.StdoutBytes)
	}
	if got.Next == nil || !strings.HasPrefix(*got.Next, "workspace_logs") {
		t.Errorf("next is %v", got.Next)
	}
}

func TestExecThatTakesLongIsAnsweredWithAHandle(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Budget: time.Millisecond}, nil)
	id := newWorkspace(t, s)
	got := must[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": "echo one; until test -e go; do sleep 0.01; done; echo two"})
	if !got.Running || got.ExecID == nil || got.ExitCode != -1 {
		t.Fatalf("got %+v", got)
	}
	must[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": "touch go"})
	got = must[execAnswer](t, s, "workspace_exec_wait", map[string]any{"workspace_id": id, "exec_id": *got.ExecID})
	if got.Running || got.Stdout != "one\ntwo\n" || got.ExitCode != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestExecThatIsStopped(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Budget: time.Millisecond}, nil)
	id := newWorkspace(t, s)
	got := must[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": "sleep 1000", "timeout_seconds": 2000})
	got = must[execAnswer](t, s, "workspace_exec_wait", map[string]any{"workspace_id": id, "exec_id": *got.ExecID, "stop": true})
	if got.Running || got.Reason == nil || *got.Reason != api.EndedByCancel {
		t.Errorf("got %+v", got)
	}
}
