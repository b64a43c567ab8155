package mcpserver

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro/api"
)

// asker is a client that can ask its user, who answers so; asked are the questions.
func asker(action string, asked *[]string) *mcp.ClientOptions {
	return &mcp.ClientOptions{ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		*asked = append(*asked, r.Params.Message)
		return &mcp.ElicitResult{Action: action}, nil
	}}
}

func write(t *testing.T, s *mcp.ClientSession, id, path, text string) {
	t.Helper()
	must[api.FileWrite](t, s, "workspace_file_write", map[string]any{"workspace_id": id, "path": path, "text": text})
}

func TestResetAsksWhereSomethingWouldBeLost(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		action    string // of the user; empty: the host cannot ask
		change    bool
		confirm   bool
		wantAsked int
		wantReset bool
	}{
		"nothing changed":           {"decline", false, false, 0, true},
		"the user agrees":           {"accept", true, false, 1, true},
		"the user does not agree":   {"decline", true, false, 1, false},
		"the user goes away":        {"cancel", true, false, 1, false},
		"the user has agreed":       {"decline", true, true, 0, true},
		"the host cannot ask":       {"", true, false, 0, true},
		"the host cannot, agreed":   {"", true, true, 0, true},
		"the host cannot, no files": {"", false, false, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			var client *mcp.ClientOptions
			if test.action != "" {
				client = asker(test.action, &asked)
			}
			s := connect(t, Options{Open: newPlace(t).open}, client)
			id := newWorkspace(t, s)
			if test.change {
				write(t, s, id, "f", "x")
			}
			arguments := map[string]any{"workspace_id": id}
			if test.confirm {
				arguments["confirm"] = true
			}
			got, failure := ask[resetAnswer](t, s, "workspace_reset", arguments)
			if reset := failure == "" && got.ResetCount == 1; reset != test.wantReset || len(asked) != test.wantAsked {
				t.Errorf("reset %t, asked %q, failure %q", reset, asked, failure)
			}
			for _, question := range asked {
				if !strings.Contains(question, "1 files") {
					t.Errorf("asked %q", question)
				}
			}
		})
	}
}

func TestExportOverWhatIsThere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		action    string
		overwrite bool
		wantAsked int
		want      string // of the file; else a part of the error
	}{
		"the host cannot ask":     {"", false, 0, "call again with overwrite true"},
		"told to":                 {"", true, 0, "new"},
		"told to, and could ask":  {"decline", true, 0, "new"},
		"the user agrees":         {"accept", false, 1, "new"},
		"the user does not agree": {"decline", false, 1, "the user did not agree"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			var client *mcp.ClientOptions
			if test.action != "" {
				client = asker(test.action, &asked)
			}
			s := connect(t, Options{Open: newPlace(t).open}, client)
			id := newWorkspace(t, s)
			write(t, s, id, "f", "new")
			output := filepath.Join(t.TempDir(), "out")
			if err := os.WriteFile(output, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, failure := ask[exportAnswer](t, s, "workspace_export", map[string]any{"workspace_id": id, "path": "f", "output_path": output, "overwrite": test.overwrite})
			text, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "new" && (failure != "" || string(text) != "new") || test.want != "new" && (string(text) != "old" || !strings.Contains(failure, test.want)) {
				t.Errorf("the file is %q, failure %q", text, failure)
			}
			if len(asked) != test.wantAsked {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

func TestExportLeavesOutWhatRunsByItself(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	write(t, s, id, ".git/hooks/post-checkout", "evil")
	dir := t.TempDir()
	got := must[exportAnswer](t, s, "workspace_export", map[string]any{"workspace_id": id, "path": ".", "output_path": filepath.Join(dir, "without")})
	if got.Skipped != 1 || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "allow_autorun true brings it along") {
		t.Errorf("got %+v", got)
	}
	got = must[exportAnswer](t, s, "workspace_export", map[string]any{"workspace_id": id, "path": ".", "output_path": filepath.Join(dir, "with"), "allow_autorun": true})
	if _, err := os.Stat(filepath.Join(dir, "with/.git/hooks/post-checkout")); err != nil || got.Skipped != 0 {
		t.Errorf("%v, got %+v", err, got)
	}
}

func TestSecretsOfCreate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		secret map[string]string
		want   string // value; empty: refused
	}{
		"a value":         {map[string]string{"name": "A", "value": "as it is"}, "as it is"},
		"a file":          {map[string]string{"name": "A", "file_path": file}, "from a file\n"},
		"both":            {map[string]string{"name": "A", "value": "x", "file_path": file}, ""},
		"neither":         {map[string]string{"name": "A"}, ""},
		"another key":     {map[string]string{"name": "A", "value": "x", "kind": "y"}, ""},
		"no name":         {map[string]string{"value": "x"}, ""},
		"no file":         {map[string]string{"name": "A", "file_path": file + "x"}, ""},
		"a directory":     {map[string]string{"name": "A", "file_path": dir}, ""},
		"an endless file": {map[string]string{"name": "A", "file_path": "/dev/zero"}, ""},
		"nothing in it":   {map[string]string{"name": "A", "value": ""}, ""},
	} {
		got, err := readSecrets([]map[string]string{test.secret})
		switch {
		case test.want == "" && api.KindOf(err) != api.Invalid:
			t.Errorf("%s is taken: %v", name, err)
		case test.want != "" && (err != nil || string(got[0].Value) != test.want):
			t.Errorf("%s: %v", name, err)
		case err != nil && strings.Contains(err.Error(), "from a file"):
			t.Errorf("%s: the error tells it: %v", name, err)
		}
	}
	if _, err := readSecrets([]map[string]string{{"name": "A", "value": "x"}, {"name": "A", "value": "y"}}); api.KindOf(err) != api.Invalid {
		t.Errorf("two of one name: %v", err)
	}
}

func TestServicesAreReadyInOneWay(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Profile: ProfileFull}, nil)
	id := newWorkspace(t, s)
	start := func(more map[string]any) string {
		arguments := map[string]any{"workspace_id": id, "service_name": "web", "command": "touch ready; sleep 1000"}
		for name, value := range more {
			arguments[name] = value
		}
		_, failure := ask[serviceAnswer](t, s, "service_start", arguments)
		return failure
	}
	for want, more := range map[string]map[string]any{
		"ready_file and ready_tcp exclude each other": {"ready_file": "x", "ready_tcp": "127.0.0.1:80"},
		"no guest_port":                   {"published_ports": []any{map[string]any{"host_port": 8000}}},
		`unknown key "port"`:              {"published_ports": []any{map[string]any{"port": 8000}}},
		"wanted is 1 or more":             {"ready_timeout_seconds": 0},
		`unknown argument "readiness"`:    {"readiness": map[string]any{"type": "file"}},
		"allowed are command, cwd, publi": {"port": 1},
	} {
		if failure := start(more); !strings.Contains(failure, want) {
			t.Errorf("%v: %q", more, failure)
		}
	}
	if failure := start(map[string]any{"ready_file": "ready"}); failure != "" {
		t.Error(failure)
	}
	list := must[servicesAnswer](t, s, "service_list", map[string]any{"workspace_id": id})
	if list.RunningCount != 1 || list.Services[0].ReadyAt == nil || list.Services[0].Readiness.Type != api.ReadyFile {
		t.Errorf("got %+v", list)
	}
}

func TestPatchAndDiff(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	patch := "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+one\n"
	applied := must[patchAnswer](t, s, "workspace_patch_apply", map[string]any{"workspace_id": id, "patch": patch})
	if !applied.Changed || applied.Summary.Added != 1 || applied.Patch.Patch != patch || applied.Truncated {
		t.Errorf("got %+v", applied)
	}
	diff := must[diffAnswer](t, s, "workspace_diff", map[string]any{"workspace_id": id})
	if !diff.Changed || diff.Truncated || diff.Next != nil || len(diff.Entries) != 1 || diff.Entries[0].TextPatch == nil || !strings.Contains(diff.Patch, "+one\n") {
		t.Errorf("got %+v", diff)
	}
	_, failure := ask[patchAnswer](t, s, "workspace_patch_apply", map[string]any{"workspace_id": id, "patch": "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-two\n+three\n"})
	if !strings.Contains(failure, "f") || !strings.Contains(failure, "Next: ") {
		t.Errorf("a patch that does not fit: %q", failure)
	}
}

func TestUpdateTakesNullForNothing(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	got := must[workspaceAnswer](t, s, "workspace_update", map[string]any{"workspace_id": id, "name": "mine", "labels": map[string]any{"a": "b", "c": "d"}, "clear_labels": nil})
	if *got.Name != "mine" || len(got.Labels) != 2 {
		t.Errorf("got %+v", got)
	}
	got = must[workspaceAnswer](t, s, "workspace_update", map[string]any{"workspace_id": id, "name": nil, "clear_name": true, "clear_labels": []string{"a"}, "ttl_seconds": 3000})
	if got.Name != nil || len(got.Labels) != 1 || got.TTLSeconds != 3000 {
		t.Errorf("got %+v", got)
	}
}
