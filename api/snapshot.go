package api

import (
	"errors"
	"fmt"
	"strings"
)

// Baseline names the state of a workspace right after it was created, which is always
// there and cannot be deleted.
const Baseline = "baseline"

// The kinds of snapshot.
const (
	SnapshotBaseline = "baseline"
	SnapshotNamed    = "named"
)

// What a snapshot holds: the whole writable disk, or the files of /workspace alone.
const (
	MethodDisk = "disk"
	MethodTree = "tree"
)

// MaxSnapshots is how many a workspace may have, the baseline not counted.
const MaxSnapshots = 128

// Snapshot is a state of a workspace to which it can be reset.
type Snapshot struct {
	WorkspaceID  string    `json:"workspace_id"`
	SnapshotName string    `json:"snapshot_name"`
	Kind         string    `json:"kind"` // baseline or named
	CreatedAt    Timestamp `json:"created_at"`
	EntryCount   int       `json:"entry_count"`   // in /workspace
	BytesWritten int64     `json:"bytes_written"` // of the files in /workspace
	Deletable    bool      `json:"deletable"`
	Method       string    `json:"method"`     // disk: everything, also outside /workspace; tree: /workspace alone
	DiskBytes    int64     `json:"disk_bytes"` // what it takes on this machine
}

// SnapshotRequest asks for a snapshot.
type SnapshotRequest struct {
	SnapshotName string `json:"snapshot_name"`
}

// SnapshotCreate is a snapshot that was just made.
type SnapshotCreate struct {
	WorkspaceID   string        `json:"workspace_id"`
	Snapshot      Snapshot      `json:"snapshot"`
	ExecutionMode ExecutionMode `json:"execution_mode"`
}

// SnapshotList is the baseline, and the snapshots, the newest first.
type SnapshotList struct {
	WorkspaceID string     `json:"workspace_id"`
	Count       int        `json:"count"`
	Snapshots   []Snapshot `json:"snapshots"`
}

// SnapshotDelete says that nothing of a snapshot is left.
type SnapshotDelete struct {
	WorkspaceID  string `json:"workspace_id"`
	SnapshotName string `json:"snapshot_name"`
	Deleted      bool   `json:"deleted"`
}

// ResetRequest brings a workspace back to an earlier state.
type ResetRequest struct {
	Snapshot string `json:"snapshot,omitempty"` // empty: the baseline

	// AllowHostCompat is consent, for this call, to run without isolation; needed for
	// a stopped workspace that was made so.
	AllowHostCompat bool `json:"allow_host_compat,omitempty"`
}

// Reset is a workspace that has just been reset, and to what.
type Reset struct {
	Workspace
	WorkspaceReset ResetSource `json:"workspace_reset"`
}

// ResetSource is what a workspace was reset to.
type ResetSource struct {
	SnapshotName string `json:"snapshot_name"`
	Kind         string `json:"kind"`
	Destination  string `json:"destination"`
	EntryCount   int    `json:"entry_count"`
	BytesWritten int64  `json:"bytes_written"`
}

// EndedByReset is the reason of a command that ran when its workspace was reset. Its
// exit code is -1.
const EndedByReset = "workspace_reset"

// CheckSnapshotName refuses a name outside [A-Za-z0-9][A-Za-z0-9._-]{0,63}.
func CheckSnapshotName(name string) error {
	if isKey(name) {
		return nil
	}
	return invalid("snapshot name", fmt.Sprintf("%q does not match %s", clip(name), keyPattern), "use letters, digits, dot, dash and underscore")
}

// Check refuses a name that a snapshot cannot have. The name must be trimmed.
func (r SnapshotRequest) Check() error {
	if r.SnapshotName == Baseline {
		return &Error{Kind: Invalid, Hint: "choose another", Err: errors.New("snapshot name baseline is reserved")}
	}
	return CheckSnapshotName(r.SnapshotName)
}

// WithDefaults trims the name and fills in the baseline.
func (r ResetRequest) WithDefaults() ResetRequest {
	if r.Snapshot = strings.TrimSpace(r.Snapshot); r.Snapshot == "" {
		r.Snapshot = Baseline
	}
	return r
}

// Check refuses a name that no snapshot has.
func (r ResetRequest) Check() error { return CheckSnapshotName(r.Snapshot) }
