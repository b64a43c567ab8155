package mcpserver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
)

// What the product that pyro succeeds takes: for each tool the parameters in order, as
// name:type, =default where there is one, ? where it may be left out. What pyro adds
// stands behind a bar.
const (
	sized = "vcpu_count:integer=1 mem_mib:integer=1024"
	ofWS  = "workspace_id:string"
)

var contracted = map[string]string{
	"vm_run": "environment:string command:string " + sized + " timeout_seconds:integer=30 ttl_seconds:integer=600 network:boolean=false allow_host_compat:boolean=false",

	"vm_list_environments": "",
	"vm_create":            "environment:string " + sized + " ttl_seconds:integer=600 network:boolean=false allow_host_compat:boolean=false",
	"vm_start":             "vm_id:string",
	"vm_exec":              "vm_id:string command:string timeout_seconds:integer=30",
	"vm_stop":              "vm_id:string",
	"vm_delete":            "vm_id:string",
	"vm_status":            "vm_id:string",
	"vm_network_info":      "vm_id:string",
	"vm_reap_expired":      "",

	"workspace_create":      "environment:string " + sized + " ttl_seconds:integer=600 allow_host_compat:boolean=false seed_path:string? name:string? labels:object?",
	"workspace_list":        "| offset:integer?",
	"workspace_update":      ofWS + " name:string? clear_name:boolean=false labels:object? clear_labels:array? | ttl_seconds:integer?",
	"workspace_exec":        ofWS + " command:string timeout_seconds:integer=30 | max_chars:integer=10000",
	"workspace_exec_wait":   "| " + ofWS + " exec_id:string wait_seconds:integer=50 stop:boolean? max_chars:integer=10000",
	"workspace_sync_push":   ofWS + " source_path:string dest:string=/workspace",
	"workspace_status":      ofWS,
	"workspace_summary":     "| " + ofWS,
	"workspace_stop":        ofWS,
	"workspace_start":       ofWS,
	"workspace_logs":        ofWS + " | last:integer? sequence:integer? stream:string? offset:integer? max_chars:integer=10000",
	"workspace_export":      ofWS + " path:string output_path:string | overwrite:boolean? allow_autorun:boolean?",
	"workspace_diff":        ofWS + " | paths:array? against:string=baseline max_chars:integer=10000",
	"workspace_file_list":   ofWS + " path:string=/workspace recursive:boolean=false | after:string? max_chars:integer=10000",
	"workspace_file_read":   ofWS + " path:string max_bytes:integer=65536 | offset:integer? max_chars:integer=10000",
	"workspace_file_write":  ofWS + " path:string text:string",
	"workspace_patch_apply": ofWS + " patch:string",
	"workspace_disk_export": ofWS + " output_path:string",
	"workspace_disk_list":   ofWS + " path:string=/workspace recursive:boolean=false | after:string? max_chars:integer=10000",
	"workspace_disk_read":   ofWS + " path:string max_bytes:integer=65536 | max_chars:integer=10000",
	"snapshot_create":       ofWS + " snapshot_name:string",
	"snapshot_delete":       ofWS + " snapshot_name:string",
	"snapshot_list":         ofWS,
	"workspace_reset":       ofWS + " snapshot:string=baseline | confirm:boolean?",
	"shell_open":            ofWS + " cwd:string=/workspace cols:integer=120 rows:integer=30 secret_env:object?",
	"shell_read":            ofWS + " shell_id:string cursor:integer=0 max_chars:integer=65536 plain:boolean=false wait_for_idle_ms:integer?",
	"shell_write":           ofWS + " shell_id:string input:string append_newline:boolean=true",
	"shell_signal":          ofWS + " shell_id:string signal_name:string=INT",
	"shell_close":           ofWS + " shell_id:string",
	"service_start": ofWS + " service_name:string command:string cwd:string=/workspace ready_file:string? ready_tcp:string? ready_http:string? ready_command:string?" +
		" ready_timeout_seconds:integer=30 ready_interval_ms:integer=500 secret_env:object? published_ports:array?",
	"service_list":     ofWS,
	"service_status":   ofWS + " service_name:string",
	"service_logs":     ofWS + " service_name:string tail_lines:integer=200 all:boolean=false | max_chars:integer=10000",
	"service_stop":     ofWS + " service_name:string",
	"workspace_delete": ofWS,
}

// contractedFull are the parameters that the profile with secrets and networks has more.
var contractedFull = map[string]string{
	"workspace_create": "environment:string " + sized + " ttl_seconds:integer=600 network_policy:string=off allow_host_compat:boolean=false seed_path:string? secrets:array? name:string? labels:object?",
	"workspace_exec":   ofWS + " command:string timeout_seconds:integer=30 secret_env:object? | max_chars:integer=10000",
}

var profileTools = map[string]string{
	ProfileRun: "vm_run",
	ProfileCore: "vm_run workspace_create workspace_list workspace_update workspace_exec workspace_exec_wait workspace_sync_push workspace_status" +
		" workspace_summary workspace_logs workspace_export workspace_diff workspace_file_list workspace_file_read workspace_file_write" +
		" workspace_patch_apply workspace_reset workspace_delete",
	ProfileFull: "vm_run vm_list_environments vm_create vm_start vm_exec vm_stop vm_delete vm_status vm_network_info vm_reap_expired" +
		" workspace_create workspace_list workspace_update workspace_exec workspace_exec_wait workspace_sync_push workspace_status" +
		" workspace_summary workspace_stop workspace_start workspace_logs workspace_export workspace_diff" +
		" workspace_file_list workspace_file_read workspace_file_write workspace_patch_apply" +
		" workspace_disk_export workspace_disk_list workspace_disk_read snapshot_create snapshot_delete snapshot_list workspace_reset" +
		" shell_open shell_read shell_write shell_signal shell_close service_start service_list service_status service_logs service_stop workspace_delete",
}

func TestProfilesHaveTheToolsOfTheContract(t *testing.T) {
	t.Parallel()
	for profile, want := range profileTools {
		chosen, err := choose(profile, "")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, tool := range chosen.tools {
			names = append(names, tool.name)
		}
		if diff := cmp.Diff(strings.Fields(want), names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", profile, diff)
		}
	}
}

func TestToolsTakeWhatTheContractSays(t *testing.T) {
	t.Parallel()
	for profile := range profileTools {
		chosen, err := choose(profile, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range chosen.tools {
			want := contracted[tool.name]
			if full, ok := contractedFull[tool.name]; ok && profile == ProfileFull {
				want = full
			}
			before, added, _ := strings.Cut(want, "|")
			want = strings.Join(strings.Fields(before+" "+added), "\n")
			if diff := cmp.Diff(want, parametersOf(tool.input())); diff != "" {
				t.Errorf("%s of %s (-want +got):\n%s", tool.name, profile, diff)
			}
		}
	}
}

// parametersOf writes a schema as the table has it.
func parametersOf(s *jsonschema.Schema) string {
	var all []string
	order := s.PropertyOrder
	for _, name := range order {
		p := s.Properties[name]
		text := name + ":" + p.Type
		switch {
		case p.Default != nil:
			var v any
			_ = json.Unmarshal(p.Default, &v)
			text += fmt.Sprintf("=%v", v)
		case !slices.Contains(s.Required, name):
			text += "?"
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}

func TestSchemasAreOfOneTypeAndClosed(t *testing.T) {
	t.Parallel()
	for _, tool := range slices.Concat(runTools(), fullTools()) {
		if tool.input().Type != "object" || tool.input().AdditionalProperties == nil {
			t.Errorf("%s takes any argument", tool.name)
		}
		for name, p := range tool.input().Properties {
			if p.Type == "" || len(p.Types) > 0 || p.Type == "array" && p.Items.Type == "" {
				t.Errorf("%s: %s has no single type", tool.name, name)
			}
		}
	}
}

func TestToolsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	first := 0
	for _, tool := range slices.Concat(runTools(), fullTools()) {
		if tool.title == "" || tool.says == "" || !strings.HasSuffix(tool.says, ".") {
			t.Errorf("%s: title %q, description %q", tool.name, tool.title, tool.says)
		}
		if tool.effects.reads && (tool.effects.destroys || tool.effects.runsOutside) {
			t.Errorf("%s reads, and yet changes something", tool.name)
		}
		if tool.first {
			first++
		}
	}
	if first > 4 {
		t.Errorf("%d tools are shown at once, 4 are enough", first)
	}
}

// TestEffects has what hosts ask their users about: W changes something, D may destroy,
// O reaches more than the workspace. What is not named reads alone.
func TestEffects(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"vm_run": "W", "vm_create": "W", "vm_start": "W", "vm_exec": "WD", "vm_stop": "WD", "vm_delete": "WD", "vm_reap_expired": "WD",
		"workspace_create": "WO", "workspace_update": "W", "workspace_exec": "WD", "workspace_exec_wait": "WD", "workspace_sync_push": "WDO",
		"workspace_stop": "WD", "workspace_start": "W", "workspace_export": "WDO", "workspace_file_write": "WD", "workspace_patch_apply": "WD",
		"workspace_disk_export": "WO", "snapshot_create": "W", "snapshot_delete": "WD", "workspace_reset": "WD", "workspace_delete": "WD",
		"shell_open": "WD", "shell_write": "WD", "shell_signal": "WD", "shell_close": "WD", "service_start": "WDO", "service_stop": "WD",
	}
	got := make(map[string]string)
	for _, tool := range slices.Concat(runTools(), fullTools()) {
		h := tool.effects.hints()
		letters := ""
		for letter, on := range map[string]bool{"W": !h.ReadOnlyHint, "D": *h.DestructiveHint, "O": *h.OpenWorldHint} {
			if on {
				letters += letter
			}
		}
		if letters != "" {
			sorted := strings.Split(letters, "")
			slices.SortFunc(sorted, func(a, b string) int { return strings.Index("WDO", a) - strings.Index("WDO", b) })
			got[tool.name] = strings.Join(sorted, "")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
