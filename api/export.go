package api

// The formats of an export.
const (
	ExportDir = "dir" // what it is in the workspace: a directory, a file or a symlink
	ExportTar = "tar" // an uncompressed pax archive of it
)

// Export is what was brought out of a workspace.
type Export struct {
	WorkspaceID   string        `json:"workspace_id"`
	WorkspacePath string        `json:"workspace_path"` // absolute in the workspace
	OutputPath    string        `json:"output_path"`    // absolute; "-" for stdout
	ArtifactType  string        `json:"artifact_type"`  // file, directory or symlink
	EntryCount    int           `json:"entry_count"`    // of a directory what is in it, at any depth; else 1
	BytesWritten  int64         `json:"bytes_written"`  // of files
	ExecutionMode ExecutionMode `json:"execution_mode"`
	Format        string        `json:"format"`   // ExportDir or ExportTar
	Skipped       int           `json:"skipped"`  // special files, and what was left out because it would run by itself
	Warnings      []string      `json:"warnings"` // a line each, with the path first
}

// TreeHead begins the answer to GET /v1/tree: what the path is, and of the seed what
// could run by itself on the host. More than one may come; their Seed is one list.
type TreeHead struct {
	ArtifactType string      `json:"artifact_type"`
	Seed         []SeedEntry `json:"seed"`
}

// SeedEntry is a file or symlink as the workspace was seeded with it.
type SeedEntry struct {
	Path       []byte `json:"p"` // below /workspace; bytes, as names are
	Executable bool   `json:"x"`
	SHA256     string `json:"d"` // of a file, hex
	Target     []byte `json:"l"` // of a symlink
}

// TreeEnd ends the answer to GET /v1/tree. What the guest said is in it, and counts for
// nothing but this: how much it left out.
type TreeEnd struct {
	ArtifactType string `json:"artifact_type"`
	Skipped      int64  `json:"skipped"` // special files

	ExecutionMode ExecutionMode `json:"execution_mode"`
}
