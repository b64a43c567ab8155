package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// toolCall is what a model answers with: a tool of pyro's to be called, or its last words.
type toolCall struct {
	tool string
	args map[string]any
	last string
}

// standIn is a model that knows one way of fixing one bug: it looks at what a tool said
// and calls the next one. Hosts believe it to be theirs.
type standIn struct {
	mu    sync.Mutex
	ways  []string // the tools it called
	wrong error    // what went otherwise than a model would hope
}

const (
	brokenProgram = "#!/bin/sh\necho $(( $1 - $2 ))\n"
	projectTest   = "#!/bin/sh\nsum=$(sh add.sh 2 3)\n[ \"$sum\" = 5 ] || { echo \"2 + 3 is $sum\"; exit 1; }\necho passed\n"
	repairPatch   = "--- a/add.sh\n+++ b/add.sh\n@@ -1,2 +1,2 @@\n #!/bin/sh\n-echo $(( $1 - $2 ))\n+echo $(( $1 + $2 ))\n"
)

// toolResult is what the model reads of an answer.
type toolResult struct {
	WorkspaceID string `json:"workspace_id"`
	ExitCode    *int   `json:"exit_code"`
	Stdout      string `json:"stdout"`
	Changed     bool   `json:"changed"`
	Patch       string `json:"patch"`
}

// next decides what to do after the results of all calls so far.
func (s *standIn) next(results []string) toolCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	call, err := decide(results)
	if err != nil {
		s.wrong = errors.Join(s.wrong, err)
		return toolCall{last: "I give up: " + err.Error()}
	}
	if call.tool != "" {
		s.ways = append(s.ways, call.tool)
	}
	return call
}

func decide(results []string) (toolCall, error) {
	if len(results) == 0 {
		return toolCall{tool: "workspace_create", args: map[string]any{"environment": "host"}}, nil
	}
	read := make([]toolResult, len(results))
	for i, text := range results {
		_, body, _ := strings.Cut(text, "{") // a host may say something before it
		if err := json.NewDecoder(strings.NewReader("{" + body)).Decode(&read[i]); err != nil {
			return toolCall{}, fmt.Errorf("answer %d is %q: %w", i+1, text, err)
		}
	}
	id, now := read[0].WorkspaceID, read[len(read)-1]
	test := toolCall{tool: "workspace_exec", args: map[string]any{"workspace_id": id, "command": "sh test.sh"}}
	switch len(results) {
	case 1:
		return test, wants(id != "", now)
	case 2:
		return toolCall{tool: "workspace_patch_apply", args: map[string]any{"workspace_id": id, "patch": repairPatch}},
			wants(now.ExitCode != nil && *now.ExitCode == 1 && strings.Contains(now.Stdout, "2 + 3 is -1"), now)
	case 3:
		return test, wants(now.Changed, now)
	case 4:
		return toolCall{tool: "workspace_diff", args: map[string]any{"workspace_id": id}},
			wants(now.ExitCode != nil && *now.ExitCode == 0 && strings.Contains(now.Stdout, "passed"), now)
	}
	return toolCall{last: now.Patch}, wants(strings.Contains(now.Patch, "+echo $(( $1 + $2 ))"), now)
}

func wants(ok bool, got toolResult) error {
	if ok {
		return nil
	}
	said, _ := json.Marshal(got)
	return fmt.Errorf("that is not what was hoped for: %s", said)
}

// content is text that is given as such or in pieces.
type content string

func (c *content) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*c = content(text)
		return nil
	}
	var pieces []struct{ Text string }
	err := json.Unmarshal(data, &pieces)
	for _, p := range pieces {
		text += p.Text
	}
	*c = content(text)
	return err
}

// events writes server-sent events.
func events(w http.ResponseWriter, list ...map[string]any) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range list {
		data, _ := json.Marshal(e)
		_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e["type"], data)
	}
}

// messages speaks the Messages API of Anthropic, as far as Claude Code wants it.
func (s *standIn) messages(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Model    string
		Messages []struct{ Content json.RawMessage }
		Tools    []struct{ Name string }
	}
	body, err := io.ReadAll(r.Body)
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, &asked)
	}
	if err != nil || r.URL.Path != "/v1/messages" {
		http.Error(w, "{}", http.StatusNotFound)
		return
	}
	const prefix = "mcp__pyro__"
	call := toolCall{last: "ok"} // to what is asked beside the conversation
	for _, tool := range asked.Tools {
		if tool.Name == prefix+"workspace_create" {
			var results []string
			for _, m := range asked.Messages {
				var blocks []struct {
					Type    string
					Content content
				}
				_ = json.Unmarshal(m.Content, &blocks) // plain text is no block
				for _, b := range blocks {
					if b.Type == "tool_result" {
						results = append(results, string(b.Content))
					}
				}
			}
			call = s.next(results)
			break
		}
	}
	block, delta, reason := map[string]any{"type": "text", "text": ""}, map[string]any{"type": "text_delta", "text": call.last}, "end_turn"
	if call.tool != "" {
		args, _ := json.Marshal(call.args)
		block = map[string]any{"type": "tool_use", "id": fmt.Sprintf("toolu_%d", len(body)), "name": prefix + call.tool, "input": map[string]any{}}
		delta, reason = map[string]any{"type": "input_json_delta", "partial_json": string(args)}, "tool_use"
	}
	usage := map[string]any{"input_tokens": 1, "output_tokens": 1}
	events(
		w,
		map[string]any{"type": "message_start", "message": map[string]any{
			"id": "msg_1", "type": "message", "role": "assistant", "model": asked.Model, "content": []any{},
			"stop_reason": nil, "stop_sequence": nil, "usage": usage,
		}},
		map[string]any{"type": "content_block_start", "index": 0, "content_block": block},
		map[string]any{"type": "content_block_delta", "index": 0, "delta": delta},
		map[string]any{"type": "content_block_stop", "index": 0},
		map[string]any{"type": "message_delta", "delta": map[string]any{"stop_reason": reason, "stop_sequence": nil}, "usage": usage},
		map[string]any{"type": "message_stop"},
	)
}

// responses speaks the Responses API of OpenAI, as far as Codex wants it.
func (s *standIn) responses(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Input []struct {
			Type   string
			Output content
		}
	}
	body, err := io.ReadAll(r.Body)
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, &asked)
	}
	if err != nil || r.URL.Path != "/v1/responses" {
		http.Error(w, "{}", http.StatusNotFound)
		return
	}
	var results []string
	for _, item := range asked.Input {
		if item.Type == "function_call_output" {
			results = append(results, string(item.Output))
		}
	}
	call := s.next(results)
	item := map[string]any{"type": "message", "role": "assistant", "id": "msg_1", "content": []any{map[string]any{"type": "output_text", "text": call.last}}}
	if call.tool != "" {
		args, _ := json.Marshal(call.args)
		item = map[string]any{
			"type": "function_call", "id": "fc_1", "call_id": fmt.Sprintf("call_%d", len(results)),
			"namespace": "mcp__pyro", "name": call.tool, "arguments": string(args),
		}
	}
	events(
		w,
		map[string]any{"type": "response.created", "response": map[string]any{"id": "resp_1"}},
		map[string]any{"type": "response.output_item.done", "output_index": 0, "item": item},
		map[string]any{"type": "response.completed", "response": map[string]any{
			"id": "resp_1", "usage": map[string]any{"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
		}},
	)
}

// TestAgentFixesABug lets Claude Code and Codex, with a stand-in for their model, fix a bug
// with pyro's tools, from a failing test to a patch that makes it pass. What they hand
// back is applied to the project, which until then nobody has touched.
func TestAgentFixesABug(t *testing.T) {
	tools(t, "git")
	requireSandboxes(t, binary(t))
	const prompt = "The test fails. Fix it in a pyro workspace and answer with the patch."
	for name, run := range map[string]func(*testing.T, *hostBed, *standIn) string{
		"claude-code": func(t *testing.T, b *hostBed, model *standIn) string {
			server := httptest.NewServer(http.HandlerFunc(model.messages))
			t.Cleanup(server.Close)
			b.env = append(b.env, "ANTHROPIC_BASE_URL="+server.URL, "ANTHROPIC_API_KEY=sk-ant-none")
			b.call(t, "pyro", "host", "connect", "claude-code", "--mode", "repro-fix", "--yes") // the project is where Claude Code stands
			said, _ := b.call(t, "claude", "-p", prompt, "--allowedTools", "mcp__pyro")
			return said
		},
		"codex": func(t *testing.T, b *hostBed, model *standIn) string {
			server := httptest.NewServer(http.HandlerFunc(model.responses))
			t.Cleanup(server.Close)
			b.put(t, ".codex/config.toml", `model = "stand-in"
model_provider = "standin"

[model_providers.standin]
name = "stand-in"
base_url = "`+server.URL+`/v1"
wire_api = "responses"
`)
			b.call(t, "pyro", "host", "connect", "codex", "--project-path", ".", "--yes")
			last := b.at("last")
			// Without somebody to ask Codex refuses tools that change something, unless told.
			b.call(t, "codex", "exec", "--sandbox", "read-only", "-c", `mcp_servers.pyro.default_tools_approval_mode="approve"`,
				"--output-last-message", last, prompt)
			said, err := os.ReadFile(last)
			if err != nil {
				t.Fatal(err)
			}
			return string(said)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHostBed(t)
			b.makeProject(t)
			model := &standIn{}
			patch := run(t, b, model)
			want := []string{"workspace_create", "workspace_exec", "workspace_patch_apply", "workspace_exec", "workspace_diff"}
			if diff := cmp.Diff(want, model.ways); diff != "" || model.wrong != nil {
				t.Fatalf("%v; calls (-want +got):\n%s\n%s", model.wrong, diff, patch)
			}
			if _, _, err := b.try(t, "sh", "test.sh"); err == nil {
				t.Error("the test passes before the patch was applied")
			}
			file := b.at("patch")
			if err := os.WriteFile(file, []byte(strings.TrimRight(patch, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			b.call(t, "git", "apply", file)
			if said, _ := b.call(t, "sh", "test.sh"); said != "passed\n" {
				t.Errorf("with the patch the test says %q", said)
			}
			b.removeAll(t)
		})
	}
}

func (b *hostBed) makeProject(t *testing.T) {
	t.Helper()
	for name, text := range map[string]string{"add.sh": brokenProgram, "test.sh": projectTest} {
		if err := os.WriteFile(filepath.Join(b.project, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.call(t, "git", "init", "-q")
	b.call(t, "git", "add", ".")
	b.call(t, "git", "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-q", "-m", "first")
}

// removeAll deletes what was made, which also shows that the command line sees it.
func (b *hostBed) removeAll(t *testing.T) {
	t.Helper()
	out, _ := b.call(t, "pyro", "workspace", "list", "--json")
	var list struct {
		Workspaces []struct {
			WorkspaceID string `json:"workspace_id"`
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Workspaces) != 1 {
		t.Errorf("there are %d workspaces, want the one that was made: %s", len(list.Workspaces), out)
	}
	for _, ws := range list.Workspaces {
		b.call(t, "pyro", "workspace", "delete", ws.WorkspaceID)
	}
}
