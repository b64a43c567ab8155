package wire

import "github.com/pyro-sandbox/pyro/api"

// ExecReply is what came of an exec.
type ExecReply struct {
	Stdout          string `json:"stdout"`
	Stderr          string `json:"stderr"`
	ExitCode        int    `json:"exit_code"` // minus the signal's number where a signal ended it, 124 after a timeout; -1 where the agent did not say
	DurationMS      int64  `json:"duration_ms"`
	StdoutTruncated bool   `json:"stdout_truncated,omitempty"` // more than MaxCapture came: head and tail are here
	StderrTruncated bool   `json:"stderr_truncated,omitempty"`
	Reason          string `json:"reason,omitempty"` // as in Exit
}

// ArchiveReply says what was unpacked.
type ArchiveReply struct {
	Destination  string `json:"destination"`
	EntryCount   int64  `json:"entry_count"`   // every member, directories and links too
	BytesWritten int64  `json:"bytes_written"` // of regular files
}

// ArtifactType says what a path is.
type ArtifactType string

// What a path can be.
const (
	File      ArtifactType = "file"
	Directory ArtifactType = "directory"
	Symlink   ArtifactType = "symlink"
)

// ExportReply announces a tar of ArchiveSize bytes.
type ExportReply struct {
	WorkspacePath string       `json:"workspace_path"`
	ArtifactType  ArtifactType `json:"artifact_type"`
	ArchiveSize   int64        `json:"archive_size"`
	EntryCount    int64        `json:"entry_count"`
	BytesWritten  int64        `json:"bytes_written"`
}

// ListReply lists a directory, or the one thing that Path is.
type ListReply struct {
	Path         string       `json:"path"`
	ArtifactType ArtifactType `json:"artifact_type"`
	Entries      Entries      `json:"entries"`
}

// Entries are the things in a directory. Encode an empty directory as an empty list
// and not as nil.
type Entries []Entry

// Entry is a thing in a directory.
type Entry struct {
	Path         string       `json:"path"` // absolute in the guest
	ArtifactType ArtifactType `json:"artifact_type"`
	SizeBytes    int64        `json:"size_bytes"`  // 0 for a directory, the length of a symlink's target
	LinkTarget   *string      `json:"link_target"` // of a symlink, else null
}

// ReadReply is a file's content.
type ReadReply struct {
	Path       string `json:"path"`
	SizeBytes  int64  `json:"size_bytes"`
	ContentB64 string `json:"content_b64"` // standard base64 with padding
}

// WriteReply says what was written.
type WriteReply struct {
	Path         string `json:"path"`
	SizeBytes    int64  `json:"size_bytes"`
	BytesWritten int64  `json:"bytes_written"`
}

// DeleteReply says what was removed.
type DeleteReply struct {
	Path    string `json:"path"`
	Deleted bool   `json:"deleted"` // always true
}

// States of a shell.
const (
	ShellRunning = "running"
	ShellStopped = "stopped"
)

// ShellReply is a shell.
type ShellReply struct {
	ShellID   string         `json:"shell_id"`
	Cwd       string         `json:"cwd"`
	Cols      int            `json:"cols"`
	Rows      int            `json:"rows"`
	State     string         `json:"state"`
	StartedAt api.Timestamp  `json:"started_at"`
	EndedAt   *api.Timestamp `json:"ended_at"`
	ExitCode  *int           `json:"exit_code"` // minus the signal's number where a signal ended it
}

// ReadShellReply is a piece of a shell's output. Cursors count code points.
type ReadShellReply struct {
	ShellReply
	Cursor     int64  `json:"cursor"`
	NextCursor int64  `json:"next_cursor"`
	Output     string `json:"output"`
	Truncated  bool   `json:"truncated"` // more is there already, or some before it is lost

	// SkippedChars counts what lay between the cursor that was asked for and Cursor and is
	// not kept any more.
	SkippedChars int64 `json:"skipped_chars,omitempty"`
}

// WriteShellReply says what was typed.
type WriteShellReply struct {
	ShellReply
	InputLength   int64 `json:"input_length"` // in code points, without the added newline
	AppendNewline bool  `json:"append_newline"`
}

// SignalShellReply says what was sent.
type SignalShellReply struct {
	ShellReply
	Signal string `json:"signal"` // in upper case
}

// CloseShellReply is a shell as it ended.
type CloseShellReply struct {
	ShellReply
	Closed bool `json:"closed"` // always true
}
