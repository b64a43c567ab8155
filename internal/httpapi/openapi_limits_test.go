package httpapi

import (
	"encoding/json"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/pyro-sandbox/pyro/api"
)

// rule puts into a schema what Go's types do not say. It is what the checks of package api
// refuse, of which TestLimitsAreThoseOfTheChecks makes sure.
type rule func(*jsonschema.Schema)

const (
	idPattern   = "^[0-9a-f]{12}$"
	keyPattern  = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
	wordPattern = "^[A-Za-z_][A-Za-z0-9_]{0,63}$"
	noControl   = `^[^\x00-\x1f\x7f-\x9f]*$`
	orEmpty     = "^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$"

	hundredYears = 100 * 365 * 24 * 60 * 60
	oneYear      = 365 * 24 * 60 * 60
)

// limits are the rules by type and field, by field of any type, and by type. What is
// optional in a request without being left out by Go stands in optional.
func limits() map[string]rule {
	return map[string]rule{
		"Timestamp": all(says("A moment in Unix seconds, to the microsecond."), example(1767225600.25)),

		".workspace_id": pattern(idPattern), ".vm_id": pattern(idPattern), ".shell_id": pattern(idPattern),

		"CreateRequest.environment":    length(1, 1024),
		"CreateRequest.vcpu_count":     all(between(0, api.MaxVCPUCount), standard(api.DefaultVCPUCount)),
		"CreateRequest.mem_mib":        all(zeroOr(api.MinMemMiB, api.MaxMemMiB), standard(api.DefaultMemMiB)),
		"CreateRequest.disk_mib":       all(zeroOr(api.MinDiskMiB, api.MaxDiskMiB), says("0: what the configuration says, which is 10240 unless it was changed")),
		"CreateRequest.ttl_seconds":    all(between(api.Forever, hundredYears), says("how long it lives, within what the configuration allows; 0: what it says, which is 600 unless it was changed; -1: it does not expire")),
		"CreateRequest.idle_seconds":   between(0, hundredYears),
		"CreateRequest.network_policy": all(oneOf("", api.NetworkOff, api.NetworkEgress, api.NetworkEgressPublishedPorts), standard(api.NetworkOff)),
		"CreateRequest.name":           name, "CreateRequest.labels": labels,
		"CreateRequest.secrets":           items(0, api.MaxSecrets),
		"CreateRequest.allow_host_compat": says("consent, for this call, to run without isolation"),
		"SecretValue.name":                pattern(wordPattern),
		"SecretValue.value":               length(1, api.MaxSecretBytes),
		"SecretValue.source_kind":         oneOf(api.SecretLiteral, api.SecretFromFile, api.SecretFromEnv, api.SecretFromCommand),
		"SecretRequest.value":             length(1, api.MaxSecretBytes),
		"SecretRequest.source_kind":       oneOf(api.SecretLiteral, api.SecretFromFile, api.SecretFromEnv, api.SecretFromCommand),
		"SeedRequest.mode":                oneOf("", api.SeedEmpty, api.SeedDirectory, api.SeedTarArchive),
		"SeedRequest.origin_kind":         oneOf(api.OriginManual, api.OriginProject, api.OriginCheckout, api.OriginRepository),
		"UpdateRequest.name":              name, "UpdateRequest.labels": labels,
		"UpdateRequest.ttl_seconds": between(api.Forever, hundredYears),
		"UpdateRequest":             minProperties(1),
		"StartRequest.reset":        pattern(orEmpty),

		"ExecRequest":                 program,
		"ExecRequest.cwd":             all(pattern("^(/.*)?$"), standard(api.WorkspacePath)),
		"ExecRequest.timeout_seconds": all(between(0, oneYear), standard(api.DefaultTimeoutSeconds)),
		"ExecRequest.secret_env":      secretEnv,
		"TerminalSize.cols":           between(1, api.MaxTerminal), "TerminalSize.rows": between(1, api.MaxTerminal),

		"ShellOpenRequest.cols":       all(between(0, api.MaxTerminal), standard(api.DefaultCols)),
		"ShellOpenRequest.rows":       all(between(0, api.MaxTerminal), standard(api.DefaultRows)),
		"ShellOpenRequest.secret_env": secretEnv,
		"ShellWriteRequest.input":     length(0, api.MaxShellInput),
		"ShellSignalRequest.signal":   pattern("^([Hh][Uu][Pp]|[Ii][Nn][Tt]|[Tt][Ee][Rr][Mm]|[Kk][Ii][Ll][Ll])$"),
		"ShellAttachRequest.cursor":   between(-1, 1<<53),
		"ShellAttachRequest.cols":     between(0, api.MaxTerminal), "ShellAttachRequest.rows": between(0, api.MaxTerminal),

		"ServiceStartRequest":                       program,
		"ServiceStartRequest.service_name":          pattern(keyPattern),
		"ServiceStartRequest.ready_timeout_seconds": all(between(0, hundredYears), standard(api.DefaultReadyTimeout)),
		"ServiceStartRequest.ready_interval_ms":     all(minimum(0), standard(api.DefaultReadyIntervalMS)),
		"ServiceStartRequest.restart":               all(pattern("^(no|on-failure(:[1-9][0-9]{0,5})?)?$"), standard(api.RestartNo)),
		"ServiceStartRequest.secret_env":            secretEnv,
		"Readiness.type":                            oneOf(api.ReadyFile, api.ReadyTCP, api.ReadyHTTP, api.ReadyCommand),
		"ReadinessRequest":                          readiness,
		"PublishRequest.guest_port":                 between(1, 65535),
		"PublishRequest.host_port":                  zeroOr(1025, 65535),

		"SnapshotRequest.snapshot_name": all(pattern(`^\s*[A-Za-z0-9][A-Za-z0-9._-]{0,63}\s*$`), not(`^\s*baseline\s*$`)),
		"ResetRequest.snapshot":         all(pattern(`^\s*([A-Za-z0-9][A-Za-z0-9._-]{0,63}\s*)?$`), standard(api.Baseline)),
		"ForkRequest":                   notFromMemory,
		"ForkRequest.name":              name,
		"ForkRequest.count":             all(between(0, api.MaxForks), standard(1)),
		"ForkRequest.from":              pattern(`^\s*([A-Za-z0-9][A-Za-z0-9._-]{0,63}\s*)?$`),
		"FileMkdirRequest.path":         guestPath, "FileMoveRequest.from_path": guestPath, "FileMoveRequest.to_path": guestPath,
		"PrepareRequest.environment": length(1, 1024),

		"Snapshot.kind":   oneOf(api.SnapshotBaseline, api.SnapshotNamed),
		"Snapshot.method": oneOf(api.MethodDisk, api.MethodTree), "ResetSource.kind": oneOf(api.SnapshotBaseline, api.SnapshotNamed),
		"DiffAgainst.kind":      oneOf(api.SnapshotBaseline, api.SnapshotNamed),
		"Workspace.isolation":   oneOf("", "sentry", "microvm", "none"),
		"Seed.mode":             oneOf(api.SeedEmpty, api.SeedDirectory, api.SeedTarArchive),
		"Seed.origin_kind":      oneOf(api.OriginManual, api.OriginProject, api.OriginCheckout, api.OriginRepository),
		"FileRead.encoding":     oneOf(api.EncodingUTF8, api.EncodingLossy),
		"DiskRead.encoding":     oneOf(api.EncodingUTF8, api.EncodingLossy),
		"SummaryOutcome.status": oneOf(api.OutcomeNone, api.OutcomeRunning, api.OutcomeSucceeded, api.OutcomeFailed),
		"EventRequest.kind":     told,
		"ErrorReply.ok":         constant(false),
		"ShellExit":             says("How a shell ended: its exit code is minus the signal's number where a signal ended it."),
		"Hello.api":             minimum(1),
	}
}

// optional are the fields of requests that may be left out although Go always prints them.
var optional = []string{
	"SeedRequest.mode", "SeedRequest.seed_path", "SeedRequest.destination", "SeedRequest.entry_count", "SeedRequest.bytes_written",
	"SeedRequest.skipped_count", "SeedRequest.origin_kind", "SeedRequest.origin_ref", "SeedRequest.origin_commit",
	"EventRequest.sequence", "EventRequest.at", "EventRequest.name", "EventRequest.state", "EventRequest.reason", "EventRequest.command",
	"EventRequest.command_sequence", "EventRequest.exit_code", "EventRequest.duration_ms", "EventRequest.path", "EventRequest.host_path",
	"EventRequest.entries", "EventRequest.bytes", "EventRequest.detail",
	"ShellWriteRequest.input", "ShellWriteRequest.append_newline", "ShellAttachRequest.cursor",
}

func (s *schemas) optional(field string) bool { return slices.Contains(optional, field) }

// apply applies the rule of a name, if there is one.
func (s *schemas) apply(name string, schema *jsonschema.Schema) {
	if r := s.limit[name]; r != nil {
		r(schema)
	}
}

func all(rules ...rule) rule {
	return func(s *jsonschema.Schema) {
		for _, r := range rules {
			r(s)
		}
	}
}

func between(low, high float64) rule {
	return func(s *jsonschema.Schema) { s.Minimum, s.Maximum = &low, &high }
}

func minimum(low float64) rule { return func(s *jsonschema.Schema) { s.Minimum = &low } }

// zeroOr is for numbers of which 0 means the default, which is outside of their limits.
func zeroOr(low, high float64) rule {
	return func(s *jsonschema.Schema) {
		zero := any(0)
		s.Minimum, s.Maximum = jsonschema.Ptr(0.0), &high
		s.AnyOf = []*jsonschema.Schema{{Const: &zero}, {Minimum: &low}}
	}
}

func standard(v any) rule {
	return func(s *jsonschema.Schema) {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		s.Default = text
	}
}

func length(low, high int) rule {
	return func(s *jsonschema.Schema) { s.MinLength, s.MaxLength = &low, &high }
}

func items(low, high int) rule {
	return func(s *jsonschema.Schema) { s.MinItems, s.MaxItems = &low, &high }
}

func pattern(p string) rule { return func(s *jsonschema.Schema) { s.Pattern = p } }

func not(p string) rule {
	return func(s *jsonschema.Schema) { s.Not = &jsonschema.Schema{Type: "string", Pattern: p} }
}

func oneOf(values ...any) rule { return func(s *jsonschema.Schema) { s.Enum = values } }

func constant(v any) rule { return func(s *jsonschema.Schema) { s.Const = &v } }

func says(text string) rule { return func(s *jsonschema.Schema) { s.Description = text } }

func example(v any) rule { return func(s *jsonschema.Schema) { s.Examples = []any{v} } }

func minProperties(n int) rule { return func(s *jsonschema.Schema) { s.MinProperties = &n } }

// told are the events that clients tell.
func told(s *jsonschema.Schema) {
	s.Ref, s.Type = "", "string"
	s.Enum = []any{string(api.EventExported), string(api.EventApplied)}
}

// name is that of a workspace.
func name(s *jsonschema.Schema) {
	s.MaxLength, s.Pattern = jsonschema.Ptr(api.MaxNameLength), noControl
}

func labels(s *jsonschema.Schema) {
	s.MaxProperties = jsonschema.Ptr(64)
	s.PropertyNames = &jsonschema.Schema{Pattern: keyPattern}
	s.AdditionalProperties = &jsonschema.Schema{
		Type: "string", MinLength: jsonschema.Ptr(1), MaxLength: jsonschema.Ptr(api.MaxNameLength), Pattern: noControl,
	}
}

func secretEnv(s *jsonschema.Schema) {
	s.PropertyNames = &jsonschema.Schema{Pattern: wordPattern}
	s.AdditionalProperties = &jsonschema.Schema{Type: "string", Pattern: wordPattern}
}

func guestPath(s *jsonschema.Schema) {
	s.MinLength, s.MaxLength = jsonschema.Ptr(1), jsonschema.Ptr(api.MaxGuestPath)
}

// program is what has either argv or command.
func program(s *jsonschema.Schema) {
	one := jsonschema.Ptr(1)
	s.OneOf = []*jsonschema.Schema{
		{
			Required: []string{"argv"},
			Properties: map[string]*jsonschema.Schema{"argv": {
				Type: "array", MinItems: one, PrefixItems: []*jsonschema.Schema{{MinLength: one}},
			}},
		},
		{Required: []string{"command"}, Properties: map[string]*jsonschema.Schema{"command": {Type: "string", MinLength: one}}},
	}
}

// notFromMemory refuses a fork with processes from a snapshot, which has none.
func notFromMemory(s *jsonschema.Schema) {
	yes := any(true)
	s.Not = &jsonschema.Schema{
		Required: []string{"memory", "from"},
		Properties: map[string]*jsonschema.Schema{
			"memory": {Const: &yes}, "from": {Type: "string", Pattern: `\S`},
		},
	}
}

// readiness wants the field that its type is about.
func readiness(s *jsonschema.Schema) {
	kind := func(name, field, form string) *jsonschema.Schema {
		value := any(name)
		return &jsonschema.Schema{Required: []string{field}, Properties: map[string]*jsonschema.Schema{
			"type": {Const: &value}, field: {Type: "string", Pattern: form},
		}}
	}
	s.OneOf = []*jsonschema.Schema{
		kind(api.ReadyFile, "path", `\S`), kind(api.ReadyTCP, "address", `:[0-9]{1,5}$`),
		kind(api.ReadyHTTP, "url", "^http://"), kind(api.ReadyCommand, "command", `\S`),
	}
}
