package api

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// shapes are all structs that cross a process boundary, with the fields that the
// replaced product gave them and those that pyro added. Scripts look all of the
// first up, so none may vanish, and a new one belongs into the second.
var shapes = []struct {
	value            any
	inherited, added string
}{
	{Workspace{}, `workspace_id name labels environment environment_version vcpu_count mem_mib ttl_seconds created_at
		last_activity_at expires_at state network_policy network_enabled allow_host_compat guest_ip tap_name execution_mode
		workspace_path workspace_seed secrets command_count last_command reset_count last_reset_at service_count
		running_service_count metadata`, `disk_mib idle_seconds last_saved_at reason engine isolation limits agent_socket
		control_socket`},
	{WorkspaceList{}, `count workspaces`, ``},
	{WorkspaceSummary{}, `workspace_id name labels environment state created_at last_activity_at expires_at command_count
		service_count running_service_count`, `reason`},
	{WorkspaceExec{}, `workspace_id environment environment_version command stdout stderr exit_code duration_ms
		execution_mode sequence cwd`, `stdout_truncated stderr_truncated reason`},
	{
		VMExec{},
		`vm_id environment environment_version command stdout stderr exit_code duration_ms execution_mode cleanup`,
		`stdout_truncated stderr_truncated engine isolation limits reason`,
	},
	{VMDelete{}, `vm_id deleted reason`, ``},
	{
		VM{},
		`vm_id environment environment_version vcpu_count mem_mib ttl_seconds created_at expires_at state network_enabled
		allow_host_compat guest_ip tap_name execution_mode metadata`,
		`reason engine isolation`,
	},
	{VMNetwork{}, `vm_id network_enabled outbound_connectivity_expected reason`, ``},
	{VMReap{}, `deleted_vm_ids count`, ``},
	{RunRequest{}, ``, `workspace exec`},
	{EnvironmentList{}, `catalog_version environments`, ``},
	{PrepareRequest{}, ``, `environment force network allow_host_compat`},
	{Environment{}, `name version description default_packages distribution distribution_version platform oci_registry
		oci_repository oci_reference source_digest compatibility catalog_version installed cache_dir install_dir`, ``},
	{WorkspaceDelete{}, `workspace_id deleted reason`, ``},
	{Seed{}, `mode seed_path destination entry_count bytes_written`, `skipped_count origin_kind origin_ref origin_commit`},
	{Secret{}, `name source_kind`, ``},
	{LastCommand{}, `sequence command cwd exit_code duration_ms execution_mode`, ``},
	{Doctor{}, `platform runtime_ok issues kvm networking runtime`, `engines checks fixed environment`},
	{EnvironmentState{}, ``, `name state reason prepared_at`},
	{Prepare{}, ``, `environment state state_before executed reason prepared_at engine duration_ms steps`},
	{PrepareStep{}, ``, `name duration_ms`},
	{Demo{}, ``, `workspace_id ok duration_ms steps`},
	{DemoStep{}, ``, `title command exit_code output duration_ms`},
	{DoctorCheck{}, ``, `name result reason next_step`},
	{DoctorKVM{}, `exists readable writable`, ``},
	{DoctorNetworking{}, `enabled_by_default tun_available ip_binary nft_binary iptables_binary ip_forward_enabled`, ``},
	{DoctorRuntime{}, `bundle_root manifest_path firecracker_bin jailer_bin guest_agent_path guest_init_path artifacts_dir
		artifacts_present notice_path bundle_version component_versions capabilities catalog_version cache_dir`, ``},
	{DoctorCapabilities{}, `supports_vm_boot supports_guest_exec supports_guest_network reason`, ``},
	{DoctorEngine{}, ``, `name available isolation needs_consent why hint weakens`},
	{Config{}, ``, `path exists settings`},
	{Setting{}, ``, `key value source variable default allowed description`},
	{ErrorReply{}, `ok error`, `kind hint`},
	{Hello{}, ``, `version api capabilities`},
	{Version{}, ``, `version go platform gvisor programs`},
	{ProgramVersion{}, ``, `name version carried path why`},
	{Limits{}, ``, `enforced why`},
	{CreateRequest{}, ``, `environment vcpu_count mem_mib disk_mib ttl_seconds network_policy allow_host_compat name labels
		idle_seconds engine seed secrets`},
	{UpdateRequest{}, ``, `name clear_name labels clear_labels ttl_seconds`},
	{StopRequest{}, ``, `discard`},
	{StartRequest{}, ``, `allow_host_compat previous reset`},
	{Snapshot{}, `workspace_id snapshot_name kind created_at entry_count bytes_written deletable`, `method disk_bytes`},
	{SnapshotRequest{}, ``, `snapshot_name`},
	{SnapshotCreate{}, `workspace_id snapshot execution_mode`, ``},
	{SnapshotList{}, `workspace_id count snapshots`, ``},
	{SnapshotDelete{}, `workspace_id snapshot_name deleted`, ``},
	{ResetRequest{}, ``, `snapshot allow_host_compat`},
	{
		Reset{}, `workspace_id name labels environment environment_version vcpu_count mem_mib ttl_seconds created_at
		last_activity_at expires_at state network_policy network_enabled allow_host_compat guest_ip tap_name execution_mode
		workspace_path workspace_seed secrets command_count last_command reset_count last_reset_at service_count
		running_service_count metadata workspace_reset`, `disk_mib idle_seconds last_saved_at reason engine isolation limits
		agent_socket control_socket`,
	},
	{ResetSource{}, `snapshot_name kind destination entry_count bytes_written`, ``},
	{ForkRequest{}, ``, `name count from memory allow_host_compat`},
	{Fork{}, ``, `workspace_id snapshot_name count workspaces`},
	{
		LogEntry{},
		`sequence command cwd exit_code duration_ms execution_mode stdout stderr stdout_file stderr_file recorded_at`,
		`stdout_truncated stderr_truncated reason reset_count`,
	},
	{WorkspaceLogs{}, `workspace_id count entries`, ``},
	{Sync{}, `workspace_id execution_mode workspace_sync`, ``},
	{SyncCounts{}, `mode source_path destination entry_count bytes_written`, `unchanged_count skipped_count`},
	{SyncCompare{}, ``, `count needed last_push`},
	{Export{}, `workspace_id workspace_path output_path artifact_type entry_count bytes_written execution_mode`, `format skipped warnings`},
	{TreeHead{}, ``, `artifact_type seed`},
	{SeedEntry{}, ``, `p x d l`},
	{TreeEnd{}, ``, `artifact_type skipped execution_mode`},
	{Apply{}, ``, `workspace_id directory dry_run changed branch commit summary entries warnings`},
	{ApplySummary{}, ``, `total added modified deleted type_changed already merged`},
	{ApplyEntry{}, ``, `path path_base64 status already merged flagged`},
	{TreeChange{}, ``, `p o n c b w`},
	{TreeSide{}, ``, `k m s d l`},
	{ChangesEnd{}, ``, `count warnings`},
	{Policy{}, ``, `capacity default_ttl_seconds min_ttl_seconds max_ttl_seconds disk_mib`},
	{ExecRequest{}, ``, `argv command cwd env timeout_seconds stdin tty secret_env`},
	{TerminalSize{}, ``, `cols rows`},
	{Shell{}, `workspace_id shell_id cwd cols rows state started_at ended_at exit_code execution_mode`, ``},
	{ShellOpenRequest{}, ``, `cwd cols rows secret_env`},
	{ShellAttachRequest{}, ``, `cursor cols rows`},
	{ShellReadRequest{}, ``, `cursor max_chars plain wait_for_idle_ms`},
	{
		ShellRead{}, `workspace_id shell_id cwd cols rows state started_at ended_at exit_code execution_mode cursor next_cursor
		output truncated plain wait_for_idle_ms`, `skipped_chars`,
	},
	{ShellWriteRequest{}, ``, `input append_newline`},
	{
		ShellWrite{}, `workspace_id shell_id cwd cols rows state started_at ended_at exit_code execution_mode input_length
		append_newline`, ``,
	},
	{ShellSignalRequest{}, ``, `signal`},
	{ShellSignal{}, `workspace_id shell_id cwd cols rows state started_at ended_at exit_code execution_mode signal`, ``},
	{ShellClose{}, `workspace_id shell_id cwd cols rows state started_at ended_at exit_code execution_mode closed`, ``},
	{ShellList{}, ``, `workspace_id count shells`},
	{
		Service{}, `workspace_id service_name state command cwd started_at ended_at exit_code pid execution_mode readiness
		ready_at stop_reason published_ports`, `restart restart_count error`,
	},
	{Readiness{}, ``, `type path address url command`},
	{PublishedPort{}, `host host_port guest_port protocol`, ``},
	{PublishRequest{}, ``, `host_port guest_port`},
	{ServiceStartRequest{}, ``, `service_name argv command cwd readiness ready_timeout_seconds ready_interval_ms secret_env
		restart publish`},
	{ServiceList{}, `workspace_id count running_count services`, ``},
	{
		ServiceLogs{}, `workspace_id service_name state command cwd started_at ended_at exit_code pid execution_mode readiness
		ready_at stop_reason published_ports stdout stderr tail_lines truncated`, `restart restart_count error`,
	},
	{SecretValue{}, ``, `name value source_kind`},
	{SecretRequest{}, ``, `value source_kind`},
	{SecretList{}, ``, `workspace_id count secrets`},
	{FileEntry{}, `path artifact_type size_bytes link_target`, `mode modified_at path_base64`},
	{FileList{}, `workspace_id path recursive entries execution_mode`, `artifact_type count truncated next_after`},
	{FileStat{}, ``, `workspace_id path artifact_type size_bytes link_target mode modified_at path_base64 execution_mode`},
	{FileRead{}, `workspace_id path size_bytes max_bytes content truncated execution_mode`, `offset bytes_read encoding content_base64`},
	{FileRange{}, ``, `workspace_id path size_bytes offset bytes_read truncated mode modified_at execution_mode`},
	{FileSave{}, ``, `workspace_id path size_bytes offset bytes_read truncated mode modified_at execution_mode output_path`},
	{FileWrite{}, `workspace_id path size_bytes bytes_written execution_mode`, `created`},
	{FileDelete{}, ``, `workspace_id path deleted execution_mode`},
	{FileMkdirRequest{}, ``, `path parents`},
	{FileMkdir{}, ``, `workspace_id path created execution_mode`},
	{FileMoveRequest{}, ``, `from_path to_path overwrite`},
	{FileMove{}, ``, `workspace_id from_path to_path replaced execution_mode`},
	{PatchEntry{}, `path status`, `from_path path_base64`},
	{PatchSummary{}, `total added modified deleted`, `type_changed`},
	{Patch{}, `workspace_id changed summary entries patch execution_mode`, `checked patch_truncated`},
	{
		Event{}, ``, `sequence at kind name state reason command command_sequence exit_code duration_ms path host_path entries
		bytes detail`,
	},
	{EventList{}, ``, `workspace_id count events`},
	{EventsEnd{}, ``, `workspace_id last_sequence`},
	{
		Summary{}, ``, `workspace_id name environment engine isolation execution_mode state reason since last_activity_at
		expires_at reset_count workspace_seed commands edits changes services shells secrets published_ports snapshots exports
		denials outcome changes_note events_complete`,
	},
	{SummaryCommands{}, ``, `total failed running last failures`},
	{SummaryEdits{}, ``, `pushes files patches last`},
	{SummaryChanges{}, ``, `total added modified deleted type_changed`},
	{SummaryServices{}, ``, `total running failed list`},
	{SummaryService{}, ``, `service_name state exit_code stop_reason restart_count published_ports`},
	{SummaryShells{}, ``, `total running`},
	{SummarySnapshots{}, ``, `total names`},
	{SummaryOutcome{}, ``, `status last_command`},
	{WorkspaceDiff{}, `workspace_id changed summary entries patch`, `entries_omitted patch_truncated against paths warnings`},
	{DiffSummary{}, `total added modified deleted type_changed text_patched non_text`, ``},
	{
		DiffEntry{}, `path status artifact_type text_patch`, `path_base64 old_mode new_mode old_bits new_bits old_target
		new_target old_size new_size binary insertions deletions omitted flagged`,
	},
	{DiffAgainst{}, ``, `kind snapshot_name`},
	{DiffPatched{}, ``, `workspace_id summary redacted warnings`},
	{DiskList{}, `workspace_id path recursive entries`, `count truncated`},
	{DiskRead{}, `workspace_id path size_bytes max_bytes content truncated`, `bytes_read encoding`},
	{DiskExport{}, `workspace_id output_path disk_format bytes_written`, `path entry_count skipped_count`},
	{DiskImageInfo{}, ``, `workspace_id environment engine disk_format saved_at pyro_version files`},
	{DiskImageFile{}, ``, `name size_bytes sha256`},
}

func TestFieldNames(t *testing.T) {
	for _, s := range shapes {
		typ := reflect.TypeOf(s.value)
		t.Run(typ.Name(), func(t *testing.T) {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal([]byte(encode(t, filled(typ).Interface())), &fields); err != nil {
				t.Fatal(err)
			}
			want := slices.Sorted(slices.Values(strings.Fields(s.inherited + " " + s.added)))
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(fields))); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFieldsAreNeverLeftOut is about answers; requests leave out what was not chosen,
// and a Readiness is shown as it was asked for.
func TestFieldsAreNeverLeftOut(t *testing.T) {
	for _, s := range shapes {
		typ := reflect.TypeOf(s.value)
		if strings.HasSuffix(typ.Name(), "Request") || typ == reflect.TypeFor[Readiness]() {
			continue
		}
		t.Run(typ.Name(), func(t *testing.T) {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal([]byte(encode(t, s.value)), &fields); err != nil {
				t.Fatal(err)
			}
			embedded := func(f reflect.StructField) bool { return f.Anonymous }
			if want := len(slices.DeleteFunc(reflect.VisibleFields(typ), embedded)); len(fields) != want {
				t.Errorf("an empty one has the fields %q, want %d", slices.Sorted(maps.Keys(fields)), want)
			}
		})
	}
}

// TestShapes compares each struct, empty and with every field set, with a file.
func TestShapes(t *testing.T) {
	for _, s := range shapes {
		typ := reflect.TypeOf(s.value)
		t.Run(typ.Name(), func(t *testing.T) {
			full := filled(typ).Interface()
			got := "--- empty\n" + encode(t, s.value) + "--- full\n" + encode(t, full)
			path := filepath.Join("testdata", typ.Name()+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v (go test -update writes it)", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
			back := reflect.New(typ)
			if err := json.Unmarshal([]byte(encode(t, full)), back.Interface()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(full, back.Elem().Interface()); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
		})
	}
}

// filled returns a value of typ with nothing zero in it.
func filled(typ reflect.Type) reflect.Value {
	v := reflect.New(typ).Elem()
	switch typ.Kind() {
	case reflect.Struct:
		for i := range typ.NumField() {
			v.Field(i).Set(filled(typ.Field(i).Type))
		}
	case reflect.Pointer:
		v.Set(reflect.New(typ.Elem()))
		v.Elem().Set(filled(typ.Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, filled(typ.Elem())))
	case reflect.Map:
		v.Set(reflect.MakeMap(typ))
		v.SetMapIndex(filled(typ.Key()), filled(typ.Elem()))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1700000000)
	case reflect.Uint8:
		v.SetUint(7)
	default:
		v.SetInt(7)
	}
	return v
}
