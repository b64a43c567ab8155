package mcpserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// answer calls a tool that succeeds, and returns its structured content as JSON text.
func answer(t *testing.T, s *mcp.ClientSession, tool string, arguments map[string]any) string {
	t.Helper()
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if res.IsError {
		t.Fatalf("%s: %s", tool, res.Content[0].(*mcp.TextContent).Text)
	}
	var spaced strings.Builder
	writeSpaced(&spaced, res.StructuredContent)
	return spaced.String()
}

// writeSpaced writes JSON as some hosts do, with blanks.
func writeSpaced(out *strings.Builder, v any) {
	between := ""
	switch v := v.(type) {
	case map[string]any:
		out.WriteByte('{')
		for _, key := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(out, "%s%q: ", between, key)
			writeSpaced(out, v[key])
			between = ", "
		}
		out.WriteByte('}')
	case []any:
		out.WriteByte('[')
		for _, item := range v {
			out.WriteString(between)
			writeSpaced(out, item)
			between = ", "
		}
		out.WriteByte(']')
	default:
		raw, _ := json.Marshal(v) // it was JSON
		out.Write(raw)
	}
}

// enlarge fills a workspace with what makes answers long.
const enlarge = `
set -e
i=0; while [ $i -lt 80 ]; do
  printf 'line <one> & "two" \001\033[31m %s\n' $i >"$(printf 'file with <a> "name" \001 %s' $i)"; i=$((i+1))
done
d=; for p in 1 2 3 4 5 6 7 8; do d="$d$(head -c 200 /dev/zero | tr '\0' '\001')/"; done; mkdir -p "$d"; echo deep >"$d/file"
head -c 20000 /dev/zero | tr '\0' '\033' >controls
seq 4000 >lines
head -c 20000 /dev/urandom >random
i=0; while [ $i -lt 6000 ]; do printf '漢字é🙂'; i=$((i+10)); done >wide
`

// bigWorkspace returns a workspace where everything is long, and what else there is.
func bigWorkspace(t *testing.T, s *mcp.ClientSession) (id, shell string) {
	t.Helper()
	labels := make(map[string]any)
	for i := range 64 {
		labels[fmt.Sprintf("label-%d", i)] = strings.Repeat("<", 120)
	}
	id = must[workspaceAnswer](t, s, "workspace_create", map[string]any{"environment": "host", "name": strings.Repeat("&", 120), "labels": labels}).WorkspaceID
	run := func(command string) {
		must[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": command})
	}
	run(enlarge)
	for range 8 {
		run("echo '" + strings.Repeat("<", 500) + "'; cat controls >&2; cat lines")
	}
	run(": '" + strings.Repeat("<", 20_000) + "'")
	opened := must[struct {
		ShellID string `json:"shell_id"`
	}](t, s, "shell_open", map[string]any{"workspace_id": id})
	shell = opened.ShellID
	must[map[string]any](t, s, "shell_write", map[string]any{"workspace_id": id, "shell_id": shell, "input": "cat controls lines; printf 'e''nd\\n'"})
	for i := range 5 {
		must[map[string]any](t, s, "service_start", map[string]any{
			"workspace_id": id, "service_name": fmt.Sprintf("service-%d", i),
			"command": "cat controls lines; cat lines >&2; : '" + strings.Repeat("<", 3000) + "'; sleep 1000", "ready_command": "true",
		})
	}
	for i := range 36 {
		must[map[string]any](t, s, "snapshot_create", map[string]any{"workspace_id": id, "snapshot_name": fmt.Sprintf("%d-%s", i, strings.Repeat("n", 55))})
	}
	return id, shell
}

// TestNoAnswerIsLong asks a workspace in which everything is long for everything, with
// nothing but what has to be given.
func TestNoAnswerIsLong(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := connect(t, Options{Open: p.open, Profile: ProfileFull}, nil)
	id, shell := bigWorkspace(t, s)
	for range 8 {
		must[map[string]any](t, s, "workspace_create", map[string]any{"environment": "host", "labels": map[string]any{"a": strings.Repeat("<", 120), "b": strings.Repeat("<", 120)}})
	}
	patch := "--- /dev/null\n+++ b/new\n@@ -0,0 +1,1000 @@\n" + strings.Repeat("+<added> \x01\n", 1_000)
	for _, test := range []struct {
		tool      string
		arguments map[string]any
	}{
		{"workspace_list", nil},
		{"workspace_update", map[string]any{"name": "other"}},
		{"workspace_exec", map[string]any{"command": "cat controls; cat lines >&2; : '" + strings.Repeat("<", 10_000) + "'"}},
		{"workspace_exec", map[string]any{"command": "cat random wide; cat wide random >&2"}},
		{"workspace_status", nil},
		{"workspace_summary", nil},
		{"workspace_logs", nil},
		{"workspace_logs", map[string]any{"sequence": 7}},
		{"workspace_logs", map[string]any{"sequence": 7, "stream": "stderr"}},
		{"workspace_diff", nil},
		{"workspace_diff", map[string]any{"paths": []string{"lines"}}},
		{"workspace_file_list", nil},
		{"workspace_file_list", map[string]any{"recursive": true}},
		{"workspace_file_read", map[string]any{"path": "controls"}},
		{"workspace_file_read", map[string]any{"path": "lines"}},
		{"workspace_file_read", map[string]any{"path": "random"}},
		{"workspace_file_read", map[string]any{"path": "wide"}},
		{"workspace_file_write", map[string]any{"path": "w", "text": strings.Repeat("<", 10_000)}},
		{"workspace_patch_apply", map[string]any{"patch": patch}},
		{"workspace_export", map[string]any{"path": ".", "output_path": filepath.Join(t.TempDir(), "out")}},
		{"snapshot_list", nil},
		{"shell_read", map[string]any{"shell_id": shell}},
		{"shell_read", map[string]any{"shell_id": shell, "plain": true}},
		{"service_list", nil},
		{"service_status", map[string]any{"service_name": "service-0"}},
		{"service_logs", map[string]any{"service_name": "service-0"}},
		{"service_logs", map[string]any{"service_name": "service-0", "all": true}},
		{"service_stop", map[string]any{"service_name": "service-0"}},
		{"shell_close", map[string]any{"shell_id": shell}},
		{"workspace_stop", nil},
		{"workspace_start", nil},
		{"workspace_reset", nil},
		{"workspace_delete", nil},
		{"vm_run", map[string]any{"environment": "host", "command": "seq 10000; seq 10000 >&2; : '" + strings.Repeat("<", 10_000) + "'"}},
	} {
		arguments := map[string]any{"workspace_id": id}
		if test.tool == "vm_run" || test.tool == "workspace_list" {
			delete(arguments, "workspace_id")
		}
		for name, value := range test.arguments {
			arguments[name] = value
		}
		text := answer(t, s, test.tool, arguments)
		n := utf8.RuneCountInString(text)
		if n > maxAnswer {
			t.Errorf("%s %.60v: %d characters: %.300s", test.tool, test.arguments, n, text)
		}
	}
}
