package mcpserver

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro/api"
)

// TestTwoServersOnOneState shows that servers know nothing of each other and need not: what
// one makes the other uses and deletes, also at the same time.
func TestTwoServersOnOneState(t *testing.T) {
	t.Parallel()
	p, q := newPlace(t), place{}
	q.client = p.client
	one, two := connect(t, Options{Open: p.open}, nil), connect(t, Options{Open: q.open}, nil)
	id := newWorkspace(t, one)
	var both sync.WaitGroup
	for i, s := range []*mcp.ClientSession{one, two} {
		both.Go(func() {
			line := fmt.Sprintf("echo %d >>shared; echo %d", i, i)
			got, failure := ask[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": line})
			if failure != "" || got.Stdout != fmt.Sprintln(i) {
				t.Errorf("server %d: %q, %s", i, got.Stdout, failure)
			}
		})
	}
	both.Wait()
	if got := must[execAnswer](t, two, "workspace_exec", map[string]any{"workspace_id": id, "command": "sort shared"}); got.Stdout != "0\n1\n" {
		t.Errorf("the file is %q", got.Stdout)
	}
	must[api.WorkspaceDelete](t, two, "workspace_delete", map[string]any{"workspace_id": id})
	if _, failure := ask[execAnswer](t, one, "workspace_exec", map[string]any{"workspace_id": id, "command": "true"}); failure == "" {
		t.Error("the first server still has it")
	}
}

// TestToolsOfOtherProfilesAreNotThere calls by name what a profile leaves out.
func TestToolsOfOtherProfilesAreNotThere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ profile, tool string }{
		{ProfileRun, "workspace_create"},
		{ProfileCore, "workspace_disk_read"},
		{ProfileCore, "shell_open"},
		{ProfileCore, "vm_create"},
		{ProfileFull, "test_simple_text"}, // of the conformance suite
	} {
		s := connect(t, Options{Open: newPlace(t).open, Profile: tc.profile}, nil)
		_, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tc.tool, Arguments: map[string]any{}})
		if wire, ok := errors.AsType[*jsonrpc.Error](err); !ok || wire.Code != jsonrpc.CodeInvalidParams {
			t.Errorf("%s calls %s: %v", tc.profile, tc.tool, err)
		}
	}
}
