package mcpserver

import (
	"context"
	"errors"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestWaitsPassACrowd shows that who wants to end a command gets through while calls are
// at work in every place, and that others wait for one.
func TestWaitsPassACrowd(t *testing.T) {
	t.Parallel()
	const call = "tools/call"
	request := func(tool string) mcp.Request {
		return &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Name: tool}}
	}
	inside, leave, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	handle := limitCalls(1)(func(_ context.Context, _ string, req mcp.Request) (mcp.Result, error) {
		if req.GetParams().(*mcp.CallToolParamsRaw).Name == "workspace_exec" {
			close(inside)
			<-leave
		}
		return nil, nil
	})
	go func() {
		defer close(left)
		_, _ = handle(t.Context(), call, request("workspace_exec"))
	}()
	<-inside
	if _, err := handle(t.Context(), call, request(execWaitName)); err != nil {
		t.Errorf("a wait: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := handle(gone, call, request("workspace_list")); !errors.Is(err, context.Canceled) {
		t.Errorf("another call came through: %v", err)
	}
	close(leave)
	<-left
	if _, err := handle(t.Context(), call, request("workspace_list")); err != nil {
		t.Errorf("a place that is free: %v", err)
	}
}
