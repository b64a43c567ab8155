package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// asModel serves the chat interface: each answer is the call of a tool, name and arguments,
// and after the last one there is nothing more to do.
func asModel(t *testing.T, calls ...[2]string) string {
	t.Helper()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		message := map[string]any{"role": "assistant", "content": "done"}
		if asked < len(calls) {
			message["tool_calls"] = []any{map[string]any{
				"id": fmt.Sprint(asked), "type": "function", "function": map[string]any{"name": calls[asked][0], "arguments": calls[asked][1]},
			}}
		}
		asked++
		_ = json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"message": message}}})
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1"
}

// TestDemoOfAModel lets two models at the project of the demonstration: one repairs it, one
// ruins it.
func TestDemoOfAModel(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	for name, row := range map[string]struct {
		calls    [][2]string
		fallback string
	}{
		"good": {[][2]string{
			{"workspace_exec", `{"command":"sh check.sh"}`},
			{"workspace_file_read", `{"path":"add.sh"}`},
			{"workspace_file_write", `{"path":"add.sh","text":"echo $(($1 + $2))\n"}`},
		}, "no"},
		"bad": {[][2]string{
			{"workspace_file_read", `{"path":"/etc/shadow"}`},
			{"workspace_exec", `{"command":"rm -rf /workspace/* /usr/bin"}`},
		}, "yes"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			cmd := p.command(t, pyro, "demo", "ollama", "--base-url", asModel(t, row.calls...), "-v")
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, line := range []string{"[done] check.sh: ok: 2 + 3 = 5\n", "[summary] exit_code=0 fallback_used=" + row.fallback + " execution_mode=guest_vsock\n"} {
				if !strings.Contains(string(out), line) {
					t.Errorf("it does not say %q:\n%s", line, out)
				}
			}
			p.wantNothing(t)
		})
	}
}
