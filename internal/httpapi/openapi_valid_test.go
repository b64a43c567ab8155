package httpapi

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/pyro-sandbox/pyro/api"
)

// described is the description that is checked in, as its readers have it.
type described struct {
	Paths map[string]map[string]struct {
		OperationID string               `json:"operationId"`
		Parameters  []describedParameter `json:"parameters"`
		RequestBody describedBody        `json:"requestBody"`
		Responses   map[string]any       `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas   map[string]json.RawMessage `json:"schemas"`
		Responses map[string]any             `json:"responses"`
	} `json:"components"`
}

type describedParameter struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
}

type describedBody struct {
	Content map[string]struct {
		Schema   json.RawMessage `json:"schema"`
		Examples map[string]struct {
			Value any `json:"value"`
		} `json:"examples"`
	} `json:"content"`
}

func readDescription(t *testing.T) (described, []byte) {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d described
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d, text
}

// resolved is one of the schemas, with the others at hand.
func (d *described) resolved(t *testing.T, schema json.RawMessage) *jsonschema.Resolved {
	t.Helper()
	parse := func(text json.RawMessage) *jsonschema.Schema {
		text = json.RawMessage(strings.ReplaceAll(string(text), componentsPrefix, "#/$defs/"))
		var s jsonschema.Schema
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		return &s
	}
	root := parse(schema)
	root.Defs = make(map[string]*jsonschema.Schema)
	for name, text := range d.Components.Schemas {
		root.Defs[name] = parse(text)
	}
	r, err := root.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOpenAPIReferencesLeadSomewhere follows every reference, and wants every component to
// be used.
func TestOpenAPIReferencesLeadSomewhere(t *testing.T) {
	d, text := readDescription(t)
	var there []string
	for name := range d.Components.Schemas {
		there = append(there, componentsPrefix+name)
	}
	for name := range d.Components.Responses {
		there = append(there, "#/components/responses/"+name)
	}
	used := make(map[string]bool)
	for _, piece := range strings.Split(string(text), `"$ref": "`)[1:] {
		to, _, _ := strings.Cut(piece, `"`)
		used[to] = true
		if !slices.Contains(there, to) {
			t.Errorf("%s leads nowhere", to)
		}
	}
	for _, name := range there {
		if !used[name] {
			t.Errorf("%s is used by nothing", name)
		}
	}
}

// TestOpenAPIExamplesAreAllowed validates the examples of requests by their schemas.
func TestOpenAPIExamplesAreAllowed(t *testing.T) {
	d, _ := readDescription(t)
	seen := 0
	for path, methods := range d.Paths {
		for method, op := range methods {
			for kind, content := range op.RequestBody.Content {
				for name, example := range content.Examples {
					seen++
					if err := d.resolved(t, content.Schema).Validate(example.Value); err != nil {
						t.Errorf("%s %s, %s, example %q: %v", method, path, kind, name, err)
					}
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("there are %d examples", seen)
	}
}

// TestOpenAPIRulesAreUsed finds rules of fields that are not there any more.
func TestOpenAPIRulesAreUsed(t *testing.T) {
	s := newSchemas(t, readWords(t, "../../api"))
	for name, r := range s.limit {
		s.limit[name] = func(schema *jsonschema.Schema) { delete(s.limit, name); r(schema) }
	}
	o := &operations{schemas: s, words: readWords(t, ".")}
	o.paths(routes())
	o.responses()
	for name := range s.limit {
		t.Errorf("nothing is called %s", name)
	}
	for _, name := range optional {
		of, field, _ := strings.Cut(name, ".")
		if made := s.made[of]; made == nil || made.Properties[field] == nil {
			t.Errorf("nothing is called %s", name)
		}
	}
	for _, texts := range []map[string]string{about, streamAbout} {
		for id := range texts {
			if !slices.ContainsFunc(routes(), func(r route) bool { return r.id == id }) {
				t.Errorf("no operation is called %s", id)
			}
		}
	}
}

// TestLimitsAreThoseOfTheChecks asks the schemas and the checks of package api the same.
func TestLimitsAreThoseOfTheChecks(t *testing.T) {
	d, _ := readDescription(t)
	for _, tc := range limitCases() {
		name := reflect.TypeOf(tc.of).Name()
		r := d.resolved(t, json.RawMessage(`{"$ref": "`+componentsPrefix+name+`"}`))
		for _, text := range tc.bodies {
			var tree any
			if err := json.Unmarshal([]byte(text), &tree); err != nil {
				t.Fatal(err)
			}
			v := reflect.New(reflect.TypeOf(tc.of))
			if err := json.Unmarshal([]byte(text), v.Interface()); err != nil {
				t.Fatal(err)
			}
			byCode, bySchema := tc.check(v.Elem().Interface()), r.Validate(tree)
			if (byCode == nil) != (bySchema == nil) {
				t.Errorf("%s %s: the check says %v, the schema %v", name, text, byCode, bySchema)
			}
		}
	}
}

type limitCase struct {
	of     any
	check  func(any) error
	bodies []string
}

func limitCases() []limitCase {
	long := strings.Repeat("x", 121)
	return []limitCase{
		{api.CreateRequest{}, func(v any) error { return v.(api.CreateRequest).Check() }, []string{
			`{}`, `{"environment": ""}`, `{"environment": "host"}`, `{"environment": null}`,
			`{"environment": "host", "vcpu_count": 0, "mem_mib": 0, "disk_mib": 0, "idle_seconds": 0}`,
			`{"environment": "host", "vcpu_count": 8, "mem_mib": 32768, "disk_mib": 1048576}`,
			`{"environment": "host", "vcpu_count": 9}`, `{"environment": "host", "vcpu_count": -1}`,
			`{"environment": "host", "mem_mib": 255}`, `{"environment": "host", "mem_mib": 256}`, `{"environment": "host", "mem_mib": 32769}`,
			`{"environment": "host", "disk_mib": 63}`, `{"environment": "host", "disk_mib": 64}`, `{"environment": "host", "disk_mib": 1048577}`,
			`{"environment": "host", "idle_seconds": -1}`, `{"environment": "host", "idle_seconds": 3153600001}`,
			`{"environment": "host", "network_policy": "egress+published-ports"}`, `{"environment": "host", "network_policy": "on"}`,
			`{"environment": "host", "name": "` + long + `"}`, `{"environment": "host", "name": "a\u0001"}`, `{"environment": "host", "name": "é"}`,
			`{"environment": "host", "labels": {"a": "b"}}`, `{"environment": "host", "labels": {"": "b"}}`, `{"environment": "host", "labels": {"a": ""}}`,
			`{"environment": "host", "labels": {"a": "` + long + `"}}`, `{"environment": "host", "labels": {".a": "b"}}`,
			`{"environment": "host", "secrets": [{"name": "A", "value": "b", "source_kind": "literal"}]}`,
			`{"environment": "host", "secrets": [{"name": "1A", "value": "b", "source_kind": "literal"}]}`,
			`{"environment": "host", "secrets": [{"name": "A", "value": "", "source_kind": "literal"}]}`,
			`{"environment": "host", "secrets": [{"name": "A", "value": "b", "source_kind": "x"}]}`,
		}},
		{api.ShellOpenRequest{}, func(v any) error { return v.(api.ShellOpenRequest).Check() }, []string{
			`{}`, `{"cols": 4096, "rows": 1}`, `{"cols": 4097}`, `{"rows": -1}`, `{"secret_env": {"A": "B"}}`, `{"secret_env": {"A": "1"}}`, `{"secret_env": {"-": "B"}}`,
		}},
		{api.TerminalSize{}, func(v any) error { return v.(api.TerminalSize).Check() }, []string{
			`{"cols": 1, "rows": 4096}`, `{"cols": 0, "rows": 1}`, `{"cols": 1, "rows": 4097}`,
		}},
		{api.ShellSignalRequest{}, func(v any) error { return v.(api.ShellSignalRequest).Check() }, []string{
			`{"signal": "INT"}`, `{"signal": "term"}`, `{"signal": "QUIT"}`, `{"signal": ""}`, `{"signal": "XINT"}`,
		}},
		{api.ServiceStartRequest{}, func(v any) error { return v.(api.ServiceStartRequest).Check() }, []string{
			`{"service_name": "web", "argv": ["a"]}`, `{"service_name": "web", "command": "a"}`, `{"service_name": "web"}`,
			`{"service_name": "web", "argv": ["a"], "command": "a"}`, `{"service_name": "web", "argv": [], "command": "a"}`, `{"service_name": "web", "argv": [""]}`,
			`{"service_name": "-web", "command": "a"}`, `{"service_name": "", "command": "a"}`,
			`{"service_name": "web", "command": "a", "restart": "no"}`, `{"service_name": "web", "command": "a", "restart": "on-failure:3"}`,
			`{"service_name": "web", "command": "a", "restart": "always"}`, `{"service_name": "web", "command": "a", "restart": "on-failure:0"}`,
			`{"service_name": "web", "command": "a", "ready_timeout_seconds": -1}`, `{"service_name": "web", "command": "a", "ready_interval_ms": -1}`,
			`{"service_name": "web", "command": "a", "readiness": {"type": "tcp", "address": "127.0.0.1:80"}}`,
			`{"service_name": "web", "command": "a", "readiness": {"type": "tcp", "address": "127.0.0.1"}}`,
			`{"service_name": "web", "command": "a", "readiness": {"type": "http", "url": "https://x"}}`,
			`{"service_name": "web", "command": "a", "readiness": {"type": "http", "url": "http://x/"}}`,
			`{"service_name": "web", "command": "a", "readiness": {"type": "file", "path": " "}}`,
			`{"service_name": "web", "command": "a", "readiness": {"type": "command", "command": "true"}}`,
			`{"service_name": "web", "command": "a", "readiness": {"type": "x"}}`, `{"service_name": "web", "command": "a", "readiness": null}`,
			`{"service_name": "web", "command": "a", "publish": [{"guest_port": 80}]}`, `{"service_name": "web", "command": "a", "publish": [{"guest_port": 0}]}`,
			`{"service_name": "web", "command": "a", "publish": [{"guest_port": 80, "host_port": 1024}]}`,
			`{"service_name": "web", "command": "a", "publish": [{"guest_port": 80, "host_port": 65535}]}`,
		}},
		{api.SnapshotRequest{}, func(v any) error { return v.(api.SnapshotRequest).Check() }, []string{
			`{"snapshot_name": "a"}`, `{"snapshot_name": "baseline"}`, `{"snapshot_name": ""}`, `{"snapshot_name": "a/b"}`, `{"snapshot_name": "baseline2"}`,
		}},
		{api.ResetRequest{}, func(v any) error { return v.(api.ResetRequest).WithDefaults().Check() }, []string{
			`{}`, `{"snapshot": ""}`, `{"snapshot": " a "}`, `{"snapshot": "a b"}`, `{"snapshot": null}`,
		}},
		{api.ForkRequest{}, func(v any) error { return v.(api.ForkRequest).WithDefaults().Check() }, []string{
			`{}`, `{"count": 64}`, `{"count": 65}`, `{"count": -1}`, `{"from": "a"}`, `{"from": "a/b"}`, `{"memory": true}`, `{"memory": true, "from": "a"}`,
			`{"name": "a"}`, `{"name": "` + long + `"}`,
		}},
		{api.FileMkdirRequest{}, func(v any) error { _, err := v.(api.FileMkdirRequest).Check(); return err }, []string{
			`{"path": "a"}`, `{"path": ""}`,
		}},
	}
}
