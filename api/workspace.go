package api

import (
	"fmt"
	"slices"
)

// WorkspacePath is where the project lies in every workspace.
const WorkspacePath = "/workspace"

// State is where a workspace is in its life.
type State string

// The states of a workspace.
const (
	StateCreated State = "created" // being made
	StateStarted State = "started"
	StateStopped State = "stopped"
	StateBroken  State = "broken" // its record cannot be read; only delete works
)

// ExecutionMode says how commands reach the guest. Scripts test for GuestVsock, so
// every isolated engine says so; which one it is stands in Engine and Isolation.
type ExecutionMode string

// The execution modes.
const (
	ModePending    ExecutionMode = "pending" // not started
	ModeGuestVsock ExecutionMode = "guest_vsock"
	ModeHostCompat ExecutionMode = "host_compat" // no isolation
	ModeUnknown    ExecutionMode = "unknown"
)

// Limits says whether the limits of a workspace are enforced by the kernel.
type Limits struct {
	Enforced bool    `json:"enforced"`
	Why      *string `json:"why"` // why not; null where they are
}

// Seed is what was put into a workspace when it was made.
type Seed struct {
	Mode         string  `json:"mode"` // empty, directory or tar_archive
	SeedPath     *string `json:"seed_path"`
	Destination  string  `json:"destination"`
	EntryCount   int     `json:"entry_count"`
	BytesWritten int64   `json:"bytes_written"`
	SkippedCount int     `json:"skipped_count"` // special files left out

	// Where it came from. All are null for a workspace that was made with nothing in it.
	OriginKind   *string `json:"origin_kind"`   // one of the Origin constants
	OriginRef    *string `json:"origin_ref"`    // a path of the host, or URL@REF without whatever logs in there
	OriginCommit *string `json:"origin_commit"` // of OriginRepository: the commit that was put in
}

// The kinds of origin: who said what is to be put in.
const (
	OriginManual     = "manual_seed_path" // whoever made the workspace
	OriginProject    = "project_path"     // whoever started the server: a directory or archive
	OriginCheckout   = "git_checkout"     // nobody: the server was started in it
	OriginRepository = "repo_url"         // a repository by its address
)

// maxOrigin is the longest path or address of a seed, in bytes.
const maxOrigin = 4096

// Check returns an Invalid error for a seed that cannot be one. What was put in nobody knows
// before it came.
func (s Seed) Check() error {
	if s.Mode != SeedDirectory && s.Mode != SeedTarArchive {
		return invalid("seed.mode", fmt.Sprintf("is %q, allowed are %s and %s", clip(s.Mode), SeedDirectory, SeedTarArchive), "leave it out for an archive")
	}
	if k := s.OriginKind; k != nil && !slices.Contains([]string{OriginManual, OriginProject, OriginCheckout, OriginRepository}, *k) {
		return invalid("seed.origin_kind", fmt.Sprintf("is %q, which is none", clip(*k)), "leave it out")
	}
	for name, text := range map[string]*string{"seed_path": s.SeedPath, "origin_ref": s.OriginRef, "origin_commit": s.OriginCommit} {
		if text != nil && len(*text) > maxOrigin {
			return invalid("seed."+name, fmt.Sprintf("has %d bytes, allowed are %d", len(*text), maxOrigin), "name it shorter")
		}
	}
	return nil
}

// Secret names a secret of a workspace; its value is never part of any answer.
type Secret struct {
	Name       string `json:"name"`
	SourceKind string `json:"source_kind"` // literal or file
}

// LastCommand is the newest entry of a workspace's history.
type LastCommand struct {
	Sequence      int           `json:"sequence"`
	Command       string        `json:"command"`
	Cwd           string        `json:"cwd"`
	ExitCode      int           `json:"exit_code"`
	DurationMS    int64         `json:"duration_ms"`
	ExecutionMode ExecutionMode `json:"execution_mode"`
}

// Workspace is one disposable machine as its owner sees it.
type Workspace struct {
	WorkspaceID         string            `json:"workspace_id"`
	Name                *string           `json:"name"`
	Labels              map[string]string `json:"labels"`
	Environment         string            `json:"environment"`
	EnvironmentVersion  *string           `json:"environment_version"`
	VCPUCount           int               `json:"vcpu_count"`
	MemMiB              int               `json:"mem_mib"`
	DiskMiB             int               `json:"disk_mib"`
	TTLSeconds          int               `json:"ttl_seconds"` // Forever: it does not expire
	IdleSeconds         int               `json:"idle_seconds"`
	CreatedAt           Timestamp         `json:"created_at"`
	LastActivityAt      Timestamp         `json:"last_activity_at"`
	ExpiresAt           *Timestamp        `json:"expires_at"`    // null: never
	LastSavedAt         *Timestamp        `json:"last_saved_at"` // the disk as start would bring it back
	State               State             `json:"state"`
	Reason              *string           `json:"reason"` // why it is stopped or broken
	NetworkPolicy       string            `json:"network_policy"`
	NetworkEnabled      bool              `json:"network_enabled"`
	AllowHostCompat     bool              `json:"allow_host_compat"`
	GuestIP             *string           `json:"guest_ip"`
	TapName             *string           `json:"tap_name"`
	ExecutionMode       ExecutionMode     `json:"execution_mode"`
	Engine              string            `json:"engine"`
	Isolation           string            `json:"isolation"` // sentry, microvm or none
	Limits              Limits            `json:"limits"`
	AgentSocket         *string           `json:"agent_socket"`   // while started; answers CONNECT 5005
	ControlSocket       *string           `json:"control_socket"` // while started; its own HTTP API, for its owner on the same machine
	WorkspacePath       string            `json:"workspace_path"`
	WorkspaceSeed       Seed              `json:"workspace_seed"`
	Secrets             []Secret          `json:"secrets"`
	CommandCount        int               `json:"command_count"`
	LastCommand         *LastCommand      `json:"last_command"`
	ResetCount          int               `json:"reset_count"`
	LastResetAt         *Timestamp        `json:"last_reset_at"`
	ServiceCount        int               `json:"service_count"`
	RunningServiceCount int               `json:"running_service_count"`
	Metadata            map[string]string `json:"metadata"`
}

// WorkspaceSummary is a line of a list.
type WorkspaceSummary struct {
	WorkspaceID         string            `json:"workspace_id"`
	Name                *string           `json:"name"`
	Labels              map[string]string `json:"labels"`
	Environment         string            `json:"environment"`
	State               State             `json:"state"`
	Reason              *string           `json:"reason"`
	CreatedAt           Timestamp         `json:"created_at"`
	LastActivityAt      Timestamp         `json:"last_activity_at"`
	ExpiresAt           *Timestamp        `json:"expires_at"` // null: never
	CommandCount        int               `json:"command_count"`
	ServiceCount        int               `json:"service_count"`
	RunningServiceCount int               `json:"running_service_count"`
}

// WorkspaceList is every workspace of a state directory, the most recently used first.
type WorkspaceList struct {
	Count      int                `json:"count"`
	Workspaces []WorkspaceSummary `json:"workspaces"`
}

// WorkspaceDelete says that nothing of a workspace is left.
type WorkspaceDelete struct {
	WorkspaceID string `json:"workspace_id"`
	Deleted     bool   `json:"deleted"`
	Reason      string `json:"reason"`
}

// The reasons of a delete.
const (
	ReasonExplicitDelete  = "explicit_delete"
	ReasonPostExecCleanup = "post_exec_cleanup"
)
