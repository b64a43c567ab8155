package api

// Bounds of what is asked about files and patches, in bytes. They are those of the
// replaced product; the streamed forms of reading and writing have none but the disk's.
const (
	MaxFileBytes     = 1 << 20  // of a text that is written, and of one answer with content
	DefaultReadBytes = 64 << 10 // of one answer with content, unless more is asked for

	MaxGuestPath     = 4095    // of a path in the guest, with /workspace before it
	MaxPathComponent = 255     // of one name in it
	MaxListEntries   = 100_000 // of one list; of more the rest is asked for
)

// ArtifactType says what a path in the guest is.
type ArtifactType string

// What a path can be.
const (
	ArtifactFile      ArtifactType = "file"
	ArtifactDirectory ArtifactType = "directory"
	ArtifactSymlink   ArtifactType = "symlink"
	ArtifactSpecial   ArtifactType = "special" // a FIFO, a socket or a device
)

// FileEntry is one thing in a workspace. What the guest calls it is bytes: a name that is
// not UTF-8 has U+FFFD in Path, and is whole in PathBase64.
type FileEntry struct {
	Path         string       `json:"path"` // absolute in the guest
	ArtifactType ArtifactType `json:"artifact_type"`
	SizeBytes    int64        `json:"size_bytes"`  // 0 for a directory, the length of a symlink's target
	LinkTarget   *string      `json:"link_target"` // of a symlink, else null
	Mode         string       `json:"mode"`        // four octal digits, as 0644
	ModifiedAt   Timestamp    `json:"modified_at"`
	PathBase64   *string      `json:"path_base64"` // null where Path is exact
}

// FileListRequest asks for what is in a directory, or for the one thing that Path is.
type FileListRequest struct {
	Path      string // empty: /workspace
	Recursive bool
	Limit     int    // at most so many entries; 0: MaxListEntries
	After     string // only what comes after this path in the list; empty: all
}

// FileList lists a directory by name, each directory followed by what is in it where that
// was asked for.
type FileList struct {
	WorkspaceID   string        `json:"workspace_id"`
	Path          string        `json:"path"`
	ArtifactType  ArtifactType  `json:"artifact_type"` // of Path: a directory, or what the one entry is
	Recursive     bool          `json:"recursive"`
	Entries       []FileEntry   `json:"entries"`
	Count         int           `json:"count"`
	Truncated     bool          `json:"truncated"`  // more would follow
	NextAfter     *string       `json:"next_after"` // the After that goes on where this ends; null unless Truncated
	ExecutionMode ExecutionMode `json:"execution_mode"`
}

// FileStat is what one path is. Links are not followed.
type FileStat struct {
	WorkspaceID string `json:"workspace_id"`
	FileEntry
	ExecutionMode ExecutionMode `json:"execution_mode"`
}

// FileReadRequest asks for the content of a regular file, or for a part of it.
type FileReadRequest struct {
	Path     string
	MaxBytes int // 1 to MaxFileBytes; 0: DefaultReadBytes

	// Offset is where to begin, in bytes. With one, 0 too, the file may be of any size;
	// nil is the whole file, which is refused where it has more than MaxFileBytes.
	Offset *int64
	Base64 bool // ContentBase64, too
}

// FileRead is the content of a file, or a part of it. It is what the file holds: the
// values of secrets are not taken out.
type FileRead struct {
	WorkspaceID   string        `json:"workspace_id"`
	Path          string        `json:"path"`
	SizeBytes     int64         `json:"size_bytes"` // of the whole file
	MaxBytes      int           `json:"max_bytes"`
	Offset        int64         `json:"offset"`
	BytesRead     int           `json:"bytes_read"`     // of the file, which Content stands for
	Content       string        `json:"content"`        // what is not UTF-8, or cut, is U+FFFD
	Encoding      string        `json:"encoding"`       // EncodingUTF8 or EncodingLossy
	ContentBase64 *string       `json:"content_base64"` // the bytes themselves; null unless asked for
	Truncated     bool          `json:"truncated"`      // the file goes on at Offset + BytesRead
	ExecutionMode ExecutionMode `json:"execution_mode"`
}

// What FileRead.Encoding can be.
const (
	EncodingUTF8  = "utf-8"       // Content is exact
	EncodingLossy = "utf-8-lossy" // something in Content is U+FFFD that was other bytes
)

// FileRangeRequest asks for a part of a regular file of any size, as bytes.
type FileRangeRequest struct {
	Path   string
	Offset int64
	Length int64 // 0: to the end
}

// FileRange says what of a file was sent.
type FileRange struct {
	WorkspaceID   string        `json:"workspace_id"`
	Path          string        `json:"path"`
	SizeBytes     int64         `json:"size_bytes"` // of the whole file when it was opened
	Offset        int64         `json:"offset"`
	BytesRead     int64         `json:"bytes_read"`
	Truncated     bool          `json:"truncated"` // the file goes on
	Mode          string        `json:"mode"`
	ModifiedAt    Timestamp     `json:"modified_at"`
	ExecutionMode ExecutionMode `json:"execution_mode"`
}

// FileSave is a part of a file that was put into a file of this machine.
type FileSave struct {
	FileRange
	OutputPath string `json:"output_path"`
}

// FileWriteRequest says where bytes go. What is there must be a regular file or nothing.
type FileWriteRequest struct {
	Path      string
	Mode      *uint32 // rwx bits, to 0777; nil: those the file has, 0644 for a new one
	Exclusive bool    // a file that is there is Exists
}

// FileWrite says what was written.
type FileWrite struct {
	WorkspaceID   string        `json:"workspace_id"`
	Path          string        `json:"path"`
	SizeBytes     int64         `json:"size_bytes"`
	BytesWritten  int64         `json:"bytes_written"`
	Created       bool          `json:"created"` // there was none
	ExecutionMode ExecutionMode `json:"execution_mode"`
}

// FileDeleteRequest names what is to go.
type FileDeleteRequest struct {
	Path      string
	Recursive bool // a directory with all that is in it; else files and links alone
}

// FileDelete says what is gone.
type FileDelete struct {
	WorkspaceID   string        `json:"workspace_id"`
	Path          string        `json:"path"`
	Deleted       bool          `json:"deleted"` // always true
	ExecutionMode ExecutionMode `json:"execution_mode"`
}

// FileMkdirRequest asks for a directory.
type FileMkdirRequest struct {
	Path    string `json:"path"`
	Parents bool   `json:"parents,omitempty"` // those above it too, and it is no error if it is there
}

// FileMkdir says which directory is there now.
type FileMkdir struct {
	WorkspaceID   string        `json:"workspace_id"`
	Path          string        `json:"path"`
	Created       bool          `json:"created"` // it was not there before
	ExecutionMode ExecutionMode `json:"execution_mode"`
}

// FileMoveRequest asks for another name for something.
type FileMoveRequest struct {
	From      string `json:"from_path"`
	To        string `json:"to_path"`             // the new name itself, not a directory to put it into
	Overwrite bool   `json:"overwrite,omitempty"` // a file or link that is there is replaced
}

// FileMove says what was moved.
type FileMove struct {
	WorkspaceID   string        `json:"workspace_id"`
	FromPath      string        `json:"from_path"`
	ToPath        string        `json:"to_path"`
	Replaced      bool          `json:"replaced"` // something had that name before
	ExecutionMode ExecutionMode `json:"execution_mode"`
}
