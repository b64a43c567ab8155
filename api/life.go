package api

import "fmt"

// Policy is what the owner of a machine allows for the workspaces on it.
type Policy struct {
	Capacity          int `json:"capacity"`            // workspaces that may run at once
	DefaultTTLSeconds int `json:"default_ttl_seconds"` // of a workspace that asks for none; Forever: it lives until it is deleted
	MinTTLSeconds     int `json:"min_ttl_seconds"`
	MaxTTLSeconds     int `json:"max_ttl_seconds"` // Forever: any, and none at all
	DiskMiB           int `json:"disk_mib"`        // of a workspace that asks for none
}

// Forever is a time to live without an end.
const Forever = -1

// DefaultPolicy is what holds where nobody says otherwise.
var DefaultPolicy = Policy{
	Capacity:          64,
	DefaultTTLSeconds: DefaultTTLSeconds, MinTTLSeconds: MinTTLSeconds, MaxTTLSeconds: MaxTTLSeconds,
	DiskMiB: DefaultDiskMiB,
}

// CheckTTL returns an Invalid error for a time to live that the policy forbids.
func (p Policy) CheckTTL(seconds int) error {
	const hint = "choose a value in that range, or raise ttl.max_seconds in the configuration"
	switch {
	case seconds == Forever && p.MaxTTLSeconds == Forever:
		return nil
	case seconds == Forever:
		return invalid("ttl_seconds", fmt.Sprintf("is without end, allowed are %d to %d seconds", p.MinTTLSeconds, p.MaxTTLSeconds), hint)
	case seconds < p.MinTTLSeconds && p.MaxTTLSeconds == Forever:
		return invalid("ttl_seconds", fmt.Sprintf("is %d, allowed are %d seconds or more", seconds, p.MinTTLSeconds), hint)
	case seconds < p.MinTTLSeconds || seconds > p.MaxTTLSeconds && p.MaxTTLSeconds != Forever || seconds > maxSeconds:
		return invalid("ttl_seconds", fmt.Sprintf("is %d, allowed are %d to %d seconds", seconds, p.MinTTLSeconds, p.MaxTTLSeconds), hint)
	}
	return nil
}

// UpdateRequest changes a workspace. At least one field must say something.
type UpdateRequest struct {
	Name        *string           `json:"name,omitempty"`
	ClearName   bool              `json:"clear_name,omitempty"` // excludes Name
	Labels      map[string]string `json:"labels,omitempty"`     // set, beside those there are
	ClearLabels []string          `json:"clear_labels,omitempty"`
	TTLSeconds  int               `json:"ttl_seconds,omitempty"` // from now on; Forever where the policy allows it
}

// StopRequest ends what runs in a workspace and keeps its disk.
type StopRequest struct {
	// Discard gives up what was written since the disk was last saved, instead of
	// saving it.
	Discard bool `json:"discard,omitempty"`
}

// StartRequest starts a stopped workspace from its saved disk.
type StartRequest struct {
	// AllowHostCompat is consent, for this call, to run without isolation; needed for
	// a workspace that was made so.
	AllowHostCompat bool `json:"allow_host_compat,omitempty"`

	// Previous gives up the newest saved disk, which may be damaged, for the one
	// before it: that of the last start, or else the seed.
	Previous bool `json:"previous,omitempty"`

	// Reset starts it from this snapshot, as a reset does; empty: from its saved disk.
	Reset string `json:"reset,omitempty"`
}

// Check refuses the name of a snapshot that none has.
func (r StartRequest) Check() error {
	if r.Reset == "" {
		return nil
	}
	return CheckSnapshotName(r.Reset)
}

// LogEntry is one command of a workspace's history.
type LogEntry struct {
	LastCommand
	Stdout          string    `json:"stdout"` // at most 1 MiB, head and tail
	Stderr          string    `json:"stderr"`
	StdoutTruncated bool      `json:"stdout_truncated"`
	StderrTruncated bool      `json:"stderr_truncated"`
	StdoutFile      *string   `json:"stdout_file"` // null: the history holds the output itself
	StderrFile      *string   `json:"stderr_file"`
	Reason          *string   `json:"reason"` // why it ended otherwise than by itself
	RecordedAt      Timestamp `json:"recorded_at"`

	// ResetCount is how often the workspace had been reset before. After each reset
	// sequences begin at 1 again.
	ResetCount int `json:"reset_count"`
}

// EndedUnknown is the reason of a command whose end nobody saw, because the
// supervisor or the sandbox was gone before it. Its exit code is -1.
const EndedUnknown = "outcome_unknown"

// EndedRunning is the reason of a command that has not ended yet. Its exit code is -1.
const EndedRunning = "running"

// EndedRefused is the reason of a command that the agent did not run. Its exit code is
// -1, and its stderr says why.
const EndedRefused = "refused"

// EndedByStop is the reason of a command that ran when its workspace was stopped. Its
// exit code is -1.
const EndedByStop = "stopped"

// WorkspaceLogs is the history of a workspace, the oldest command first.
type WorkspaceLogs struct {
	WorkspaceID string     `json:"workspace_id"`
	Count       int        `json:"count"`
	Entries     []LogEntry `json:"entries"`
}

// The modes of a seed and of a push.
const (
	SeedEmpty      = "empty"
	SeedDirectory  = "directory"
	SeedTarArchive = "tar_archive"
)

// Sync is what a push did.
type Sync struct {
	WorkspaceID   string        `json:"workspace_id"`
	ExecutionMode ExecutionMode `json:"execution_mode"`
	WorkspaceSync SyncCounts    `json:"workspace_sync"`
}

// SyncCounts counts the members of a pushed tree. EntryCount and BytesWritten are
// those of the whole tree that is in place now; UnchangedCount of them were there
// before, and were not sent.
type SyncCounts struct {
	Mode           string `json:"mode"`
	SourcePath     string `json:"source_path"`
	Destination    string `json:"destination"`
	EntryCount     int    `json:"entry_count"`
	BytesWritten   int64  `json:"bytes_written"`
	UnchangedCount int    `json:"unchanged_count"`
	SkippedCount   int    `json:"skipped_count"` // special files left out
}

// SyncCompare says what of a tree has to be sent.
type SyncCompare struct {
	Count    int64     `json:"count"`
	Needed   []byte    `json:"needed"`    // a bit for each entry, the lowest of a byte first
	LastPush Timestamp `json:"last_push"` // when this source was last read for that destination; 0: never
}
