package mcpserver

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/pyro-sandbox/pyro/api"
)

// inputOf is what a tool of the fullest profile takes.
func inputOf(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	for _, tool := range slices.Concat(runTools(), fullTools()) {
		if tool.name == name {
			return tool.input()
		}
	}
	t.Fatalf("no tool %s", name)
	return nil
}

func TestArgumentsArePutRight(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ tool, given, want string }{
		"nothing":                   {"workspace_list", ``, `{}`},
		"null":                      {"workspace_list", `null`, `{}`},
		"a number as text":          {"workspace_exec", `{"workspace_id":"a","command":"b","timeout_seconds":"30"}`, `{"command":"b","timeout_seconds":30,"workspace_id":"a"}`},
		"a number with blanks":      {"workspace_exec", `{"workspace_id":"a","command":"b","timeout_seconds":" +30 "}`, `{"command":"b","timeout_seconds":30,"workspace_id":"a"}`},
		"a number with a fraction":  {"workspace_exec", `{"workspace_id":"a","command":"b","timeout_seconds":30.0}`, `{"command":"b","timeout_seconds":30,"workspace_id":"a"}`},
		"a number with an exponent": {"workspace_exec", `{"workspace_id":"a","command":"b","timeout_seconds":3e1}`, `{"command":"b","timeout_seconds":30,"workspace_id":"a"}`},
		"true as text":              {"workspace_file_list", `{"workspace_id":"a","recursive":"True"}`, `{"recursive":true,"workspace_id":"a"}`},
		"an object as text":         {"workspace_create", `{"environment":"host","labels":"{\"a\":\"b\"}"}`, `{"environment":"host","labels":{"a":"b"}}`},
		"a list as text":            {"workspace_diff", `{"workspace_id":"a","paths":"[\"x\"]"}`, `{"paths":["x"],"workspace_id":"a"}`},
		"null for what is optional": {"workspace_create", `{"environment":"host","seed_path":null,"labels":null}`, `{"environment":"host"}`},
		"null in a list":            {"service_start", `{"workspace_id":"a","service_name":"b","command":"c","published_ports":[{"guest_port":80,"host_port":null}]}`, `{"command":"c","published_ports":[{"guest_port":80}],"service_name":"b","workspace_id":"a"}`},
		"a text that is a number":   {"workspace_file_write", `{"workspace_id":"a","path":"p","text":"30"}`, `{"path":"p","text":"30","workspace_id":"a"}`},
		"a text that is an object":  {"workspace_file_write", `{"workspace_id":"a","path":"p","text":"{}"}`, `{"path":"p","text":"{}","workspace_id":"a"}`},
		"the same name twice":       {"workspace_status", `{"workspace_id":"a","workspace_id":"b"}`, `{"workspace_id":"b"}`},
	} {
		got, err := tidied(inputOf(t, test.tool), json.RawMessage(test.given))
		if diff := cmp.Diff(test.want, string(got)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ tool, given, want string }{
		"a list":                 {"workspace_status", `[]`, "arguments are no JSON object"},
		"an unknown name":        {"workspace_status", `{"workspace_id":"a","id":"b"}`, `unknown argument "id", allowed are workspace_id`},
		"other case":             {"workspace_status", `{"Workspace_ID":"a"}`, `unknown argument "Workspace_ID", allowed are workspace_id`},
		"a fold of a letter":     {"workspace_status", "{\"wor\u212aspace_id\":\"a\"}", `unknown argument "wor` + "\u212a" + `space_id", allowed are workspace_id`},
		"a missing one":          {"workspace_exec", `{"workspace_id":"a"}`, `argument "command" is missing`},
		"null for what is not":   {"workspace_status", `{"workspace_id":null}`, `argument "workspace_id" is null, wanted is a string`},
		"a number for a string":  {"workspace_status", `{"workspace_id":3}`, `argument "workspace_id" is 3, wanted is a string`},
		"a word for a number":    {"workspace_exec", `{"workspace_id":"a","command":"b","timeout_seconds":"soon"}`, `argument "timeout_seconds" is "soon", wanted is an integer`},
		"a broken number":        {"workspace_exec", `{"workspace_id":"a","command":"b","timeout_seconds":1.5}`, `argument "timeout_seconds" is 1.5, wanted is an integer`},
		"too small a number":     {"workspace_exec", `{"workspace_id":"a","command":"b","timeout_seconds":0}`, `argument "timeout_seconds" is 0, wanted is 1 to 86400`},
		"a number beyond all":    {"workspace_exec", `{"workspace_id":"a","command":"b","timeout_seconds":1e300}`, `argument "timeout_seconds" is 1e+300, wanted is an integer`},
		"a word for true":        {"workspace_file_list", `{"workspace_id":"a","recursive":"yes"}`, `argument "recursive" is "yes", wanted is true or false`},
		"none of a few":          {"workspace_create", `{"environment":"host","network_policy":"all"}`, `argument "network_policy" is "all", wanted is one of off egress egress+published-ports`},
		"a string for a list":    {"workspace_diff", `{"workspace_id":"a","paths":"x"}`, `argument "paths" is "x", wanted is a list`},
		"numbers in a list":      {"workspace_diff", `{"workspace_id":"a","paths":["x",3]}`, `argument "paths" at 1 is 3, wanted is a string`},
		"a number in an object":  {"workspace_create", `{"environment":"host","labels":{"a":1}}`, `argument "labels" at "a" is 1, wanted is a string`},
		"a list for an object":   {"workspace_create", `{"environment":"host","labels":["a"]}`, `argument "labels" is ["a"], wanted is an object`},
		"a port that is a word":  {"service_start", `{"workspace_id":"a","service_name":"b","command":"c","published_ports":[{"guest_port":"x"}]}`, `argument "published_ports" at 0 at "guest_port" is "x", wanted is an integer`},
		"what is not JSON":       {"workspace_status", `{`, "arguments are no JSON object"},
		"a long unknown name":    {"workspace_status", `{"` + strings.Repeat("x", 1<<20) + `":1}`, `unknown argument "` + strings.Repeat("x", 100) + `…", allowed are workspace_id`},
		"a long value":           {"workspace_status", `{"workspace_id":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`, `argument "workspace_id" is {"a":"` + strings.Repeat("x", 94) + `…, wanted is a string`},
		"an argument where none": {"vm_reap_expired", `{"a":1}`, `unknown argument "a", allowed are none`},
	} {
		_, err := tidied(inputOf(t, test.tool), json.RawMessage(test.given))
		if err == nil || api.KindOf(err) != api.Invalid {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(test.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestHostileArguments sends to a server what no schema can see.
func TestHostileArguments(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Profile: ProfileFull}, nil)
	id := newWorkspace(t, s)
	huge := strings.Repeat("0", 1<<20)
	for name, test := range map[string]struct {
		tool      string
		arguments map[string]any
	}{
		"an id of a MB":               {"workspace_status", map[string]any{"workspace_id": huge}},
		"an id of a MB to delete":     {"workspace_delete", map[string]any{"workspace_id": huge}},
		"the id of a VM of a MB":      {"vm_status", map[string]any{"vm_id": huge}},
		"an id with a path":           {"workspace_delete", map[string]any{"workspace_id": "../../../../"}},
		"an id with a zero byte":      {"workspace_status", map[string]any{"workspace_id": id + "\x00"}},
		"a path with a zero byte":     {"workspace_file_read", map[string]any{"workspace_id": id, "path": "a\x00b"}},
		"a path of a MB":              {"workspace_file_read", map[string]any{"workspace_id": id, "path": huge}},
		"a way out":                   {"workspace_file_read", map[string]any{"workspace_id": id, "path": "../../etc/passwd"}},
		"a command with a zero byte":  {"workspace_exec", map[string]any{"workspace_id": id, "command": "echo a\x00b"}},
		"an environment of a MB":      {"workspace_create", map[string]any{"environment": huge}},
		"a name of a MB":              {"workspace_update", map[string]any{"workspace_id": id, "name": huge}},
		"a host path with zero bytes": {"workspace_export", map[string]any{"workspace_id": id, "path": ".", "output_path": "/tmp/\x00"}},
		"a seed with zero bytes":      {"workspace_create", map[string]any{"environment": "host", "seed_path": "/tmp/\x00"}},
		"a secret from a zero byte":   {"workspace_create", map[string]any{"environment": "host", "secrets": []any{map[string]any{"name": "A", "file_path": "/\x00"}}}},
		"a snapshot with a path":      {"snapshot_create", map[string]any{"workspace_id": id, "snapshot_name": "../x"}},
		"a service with a path":       {"service_logs", map[string]any{"workspace_id": id, "service_name": "../x"}},
		"a shell with a path":         {"shell_read", map[string]any{"workspace_id": id, "shell_id": "../../x"}},
		"a command that was never":    {"workspace_exec_wait", map[string]any{"workspace_id": id, "exec_id": huge}},
		"a patch of zero bytes":       {"workspace_patch_apply", map[string]any{"workspace_id": id, "patch": strings.Repeat("\x00", 1000)}},
	} {
		_, failure := ask[map[string]any](t, s, test.tool, test.arguments)
		switch {
		case !strings.HasPrefix(failure, "Error executing tool "+test.tool+": "):
			t.Errorf("%s: %.200q", name, failure)
		case len(failure) > 1000 || !utf8.ValidString(failure) || strings.ContainsRune(failure, 0):
			t.Errorf("%s: %d bytes: %.300q", name, len(failure), failure)
		}
	}
}

func FuzzTidied(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"workspace_id":"a","command":"b","timeout_seconds":"30","secret_env":"{\"a\":\"b\"}"}`,
		`{"workspace_id":null}`, `{"timeout_seconds":1e999}`, `{"secret_env":[{}],"command":{"a":[null]}}`, `{"Command":"a"}`, "{\"\x00\":1}",
	} {
		f.Add([]byte(seed))
	}
	schema := inputOf(f, "workspace_exec")
	resolved, err := schema.Resolve(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := tidied(schema, raw)
		if err != nil {
			if api.KindOf(err) != api.Invalid || len(err.Error()) > 1000 {
				t.Errorf("%v", err)
			}
			return
		}
		var arguments map[string]any
		if err := json.Unmarshal(got, &arguments); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if err := resolved.Validate(arguments); err != nil {
			t.Errorf("%s was let through: %v", got, err)
		}
		var in fullExecArguments
		if err := json.Unmarshal(got, &in); err != nil {
			t.Errorf("%s cannot be read: %v", got, err)
		}
		again, err := tidied(schema, got)
		if diff := cmp.Diff(string(got), string(again)); err != nil || diff != "" {
			t.Errorf("tidied twice: %v %s", err, diff)
		}
	})
}
