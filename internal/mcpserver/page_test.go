package mcpserver

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro/api"
)

// follow makes the call that an answer names, until there is none.
func follow[Out any](t *testing.T, s *mcp.ClientSession, tool string, arguments map[string]any, next func(Out) *string) {
	t.Helper()
	for range 1000 {
		call := next(must[Out](t, s, tool, arguments))
		if call == nil {
			return
		}
		name, text, _ := strings.Cut(*call, " ")
		arguments = nil
		if err := json.Unmarshal([]byte(text), &arguments); err != nil || name != tool {
			t.Fatalf("next is %q: %v", *call, err)
		}
	}
	t.Fatal("it goes on for ever")
}

func execIn(t *testing.T, s *mcp.ClientSession, id, command string) execAnswer {
	t.Helper()
	return must[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": command})
}

func TestFilesAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	files := map[string]string{
		"empty": "", "lines": strings.Repeat("a line\n", 4_000), "wide": strings.Repeat("漢é🙂", 7_000), "controls": strings.Repeat("\x1b", 5000),
		"one line": strings.Repeat("x", 15_000), "nasty": strings.Repeat(nasty, 200),
	}
	for name, text := range files {
		must[api.FileWrite](t, s, "workspace_file_write", map[string]any{"workspace_id": id, "path": name, "text": text})
		for _, arguments := range []map[string]any{{}, {"max_bytes": 7001}, {"max_chars": 3000}} {
			if name == "controls" && arguments["max_bytes"] == nil && arguments["max_chars"] == nil {
				arguments["offset"] = 0
			}
			arguments["workspace_id"], arguments["path"] = id, name
			var got strings.Builder
			follow(t, s, "workspace_file_read", arguments, func(f fileReadAnswer) *string {
				if f.Truncated != (f.NextOffset != nil) || f.Offset != int64(got.Len()) || f.SizeBytes != int64(len(text)) {
					t.Errorf("%s: %d of %d, truncated %t, next %v", name, f.Offset, f.SizeBytes, f.Truncated, f.NextOffset)
				}
				got.WriteString(f.Content)
				return f.Next
			})
			if got.String() != text {
				t.Errorf("%s %v: got %d bytes, want %d", name, arguments, got.Len(), len(text))
			}
		}
	}
}

func TestFilesThatAreNoTextAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	execIn(t, s, id, "head -c 30000 /dev/urandom >random")
	end := int64(0)
	follow(t, s, "workspace_file_read", map[string]any{"workspace_id": id, "path": "random"}, func(f fileReadAnswer) *string {
		if f.Offset != end || f.BytesRead == 0 {
			t.Errorf("begins at %d, want %d, with %d bytes", f.Offset, end, f.BytesRead)
		}
		end = f.Offset + int64(f.BytesRead)
		return f.Next
	})
	if end != 30_000 {
		t.Errorf("ended at %d", end)
	}
}

func TestAskedBytesAreObeyed(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	execIn(t, s, id, "seq 20000 >lines")
	read := func(arguments map[string]any) fileReadAnswer {
		arguments["workspace_id"], arguments["path"] = id, "lines"
		return must[fileReadAnswer](t, s, "workspace_file_read", arguments)
	}
	if got := read(map[string]any{}); got.BytesRead > maxAnswer || !got.Truncated || got.MaxBytes != 65536 {
		t.Errorf("by default %d bytes, truncated %t", got.BytesRead, got.Truncated)
	}
	if got := read(map[string]any{"max_bytes": 65536}); got.BytesRead != 65536 {
		t.Errorf("of 65536 asked bytes %d", got.BytesRead)
	}
	if got := read(map[string]any{"max_chars": 150_000}); got.BytesRead != 65536 {
		t.Errorf("of 150000 characters %d bytes", got.BytesRead)
	}
}

func TestListsOfFilesGoOn(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	execIn(t, s, id, "mkdir -p a/b c; for i in $(seq 80); do touch a/b/$i \"c/<$i>\"; done; ln -s x link")
	want := strings.Fields(execIn(t, s, id, "find . -mindepth 1 | wc -l").Stdout)[0]
	seen := make(map[string]bool)
	follow(t, s, "workspace_file_list", map[string]any{"workspace_id": id, "recursive": true}, func(l fileListAnswer) *string {
		if l.Count != len(l.Entries) || l.Truncated != (l.NextAfter != nil) {
			t.Errorf("count %d of %d, truncated %t", l.Count, len(l.Entries), l.Truncated)
		}
		for _, e := range l.Entries {
			if seen[e.Path] {
				t.Errorf("%s twice", e.Path)
			}
			seen[e.Path] = true
		}
		return l.Next
	})
	if diff := cmp.Diff("164", want); diff != "" || len(seen) != 164 {
		t.Errorf("%d entries, there are %s", len(seen), want)
	}
}

func TestListOfWorkspacesGoesOn(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	labels := map[string]any{"a": strings.Repeat("<", 120), "b": strings.Repeat("<", 120), "c": strings.Repeat("<", 120)}
	for range 6 {
		must[workspaceAnswer](t, s, "workspace_create", map[string]any{"environment": "host", "labels": labels})
	}
	seen := make(map[string]bool)
	calls := 0
	follow(t, s, "workspace_list", nil, func(l listAnswer) *string {
		calls++
		if l.Count != 6 {
			t.Errorf("count %d", l.Count)
		}
		for _, w := range l.Workspaces {
			seen[w.WorkspaceID] = true
		}
		return l.Next
	})
	if len(seen) != 6 || calls < 2 {
		t.Errorf("%d workspaces in %d calls", len(seen), calls)
	}
}

func TestLogsAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	execIn(t, s, id, "echo first")
	long := execIn(t, s, id, "seq 4000; seq 100 | tr '\\n' '\\033' >&2")
	execIn(t, s, id, "echo third")
	if long.Next == nil {
		t.Fatal("no way to the rest")
	}
	_, text, _ := strings.Cut(*long.Next, " ")
	var arguments map[string]any
	if err := json.Unmarshal([]byte(text), &arguments); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	follow(t, s, "workspace_logs", arguments, func(l logsAnswer) *string {
		if len(l.Entries) != 1 || l.Entries[0].Sequence != 2 || l.Entries[0].Stderr != "" || l.Truncated != (l.NextOffset != nil) {
			t.Errorf("got %+v", l)
		}
		got.WriteString(l.Entries[0].Stdout)
		return l.Next
	})
	if lines := strings.Count(got.String(), "\n"); lines != 4_000 || !strings.HasSuffix(got.String(), "\n4000\n") {
		t.Errorf("%d lines", lines)
	}
}

func TestLogsShowTheNewest(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	for range 3 {
		execIn(t, s, id, "seq 3000")
	}
	for range 40 {
		execIn(t, s, id, "true")
	}
	got := must[logsAnswer](t, s, "workspace_logs", map[string]any{"workspace_id": id})
	last := got.Entries[len(got.Entries)-1].Sequence
	if got.Count != 43 || last != 43 || got.EntriesOmitted != 43-len(got.Entries) || !got.Truncated || got.Next == nil {
		t.Errorf("count %d, last %d, omitted %d, shown %d, next %v", got.Count, last, got.EntriesOmitted, len(got.Entries), got.Next)
	}
	got = must[logsAnswer](t, s, "workspace_logs", map[string]any{"workspace_id": id, "last": 2})
	if got.Count != 2 || len(got.Entries) != 2 || got.Truncated || got.Next != nil || got.Entries[0].Sequence != 42 {
		t.Errorf("of the last two: %+v", got)
	}
	for _, arguments := range []map[string]any{{"sequence": 99}, {"stream": "stdout"}, {"offset": 7}} {
		arguments["workspace_id"] = id
		if _, failure := ask[logsAnswer](t, s, "workspace_logs", arguments); failure == "" {
			t.Errorf("%v is taken", arguments)
		}
	}
}

func TestShellsAreReadOn(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Profile: ProfileFull}, nil)
	id := newWorkspace(t, s)
	shell := must[api.Shell](t, s, "shell_open", map[string]any{"workspace_id": id}).ShellID
	must[api.ShellWrite](t, s, "shell_write", map[string]any{"workspace_id": id, "shell_id": shell, "input": "seq 4000; seq 1500 | tr '\\n' '\\033'; printf 'th''e end'"})
	var got strings.Builder
	cursor := int64(0)
	for !strings.Contains(got.String(), "the end") {
		read := must[api.ShellRead](t, s, "shell_read", map[string]any{"workspace_id": id, "shell_id": shell, "cursor": cursor, "wait_for_idle_ms": 50})
		if read.Cursor != cursor || read.SkippedChars != 0 {
			t.Fatalf("asked for %d, got %d", cursor, read.Cursor)
		}
		if n := size(read); n > maxAnswer {
			t.Errorf("%d characters", n)
		}
		if read.NextCursor == cursor && read.State != api.ShellRunning {
			t.Fatal("the shell has ended")
		}
		got.WriteString(read.Output)
		cursor = read.NextCursor
	}
	if !strings.Contains(got.String(), "\r\n3999\r\n4000\r\n") || !strings.Contains(got.String(), "\x1b1499\x1b1500\x1b") {
		t.Errorf("got %d characters that are not all", got.Len())
	}
}

func TestLongDiffsGoOn(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	execIn(t, s, id, "for f in a b c d; do seq 700 >$f; done; seq 20000 >large")
	seen := make(map[string]bool)
	got := must[diffAnswer](t, s, "workspace_diff", map[string]any{"workspace_id": id})
	if !got.Truncated || !got.PatchTruncated || got.Summary.Total != 5 || len(got.Entries) != 5 || got.PatchBytes < 100_000 {
		t.Errorf("truncated %t, %d of %d entries, %d bytes", got.Truncated, len(got.Entries), got.Summary.Total, got.PatchBytes)
	}
	for line := range strings.Lines(got.Patch) {
		if name, ok := strings.CutPrefix(line, "+++ b/"); ok {
			seen[strings.TrimSpace(name)] = true
		}
	}
	if !seen["a"] || seen["large"] || strings.Contains(got.Patch, "left out") {
		t.Errorf("the patch has %v, ending in %q", seen, got.Patch[len(got.Patch)-60:])
	}
	_, text, _ := strings.Cut(*got.Next, " ")
	var arguments map[string]any
	if err := json.Unmarshal([]byte(text), &arguments); err != nil {
		t.Fatal(err)
	}
	paths := arguments["paths"].([]any)
	if len(paths) != 1 || seen[paths[0].(string)] {
		t.Errorf("next is %q, seen were %v", *got.Next, seen)
	}
	rest := must[diffAnswer](t, s, "workspace_diff", arguments)
	if rest.Truncated || rest.Next != nil || len(rest.Entries) != 1 {
		t.Errorf("the rest: truncated %t, %d entries", rest.Truncated, len(rest.Entries))
	}
}
