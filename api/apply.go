package api

// Apply is what came of bringing the changes of a workspace to a project.
type Apply struct {
	WorkspaceID string       `json:"workspace_id"`
	Directory   string       `json:"directory"` // absolute
	DryRun      bool         `json:"dry_run"`   // nothing was written
	Changed     bool         `json:"changed"`   // something was written, or would have been
	Branch      *string      `json:"branch"`    // that was made; null: the files of Directory were changed
	Commit      *string      `json:"commit"`    // that the branch names
	Summary     ApplySummary `json:"summary"`
	Entries     []ApplyEntry `json:"entries"`  // by path
	Warnings    []string     `json:"warnings"` // a line each
}

// ApplySummary counts the entries. Total is the sum of the next four and of Already.
type ApplySummary struct {
	Total       int `json:"total"`
	Added       int `json:"added"`
	Modified    int `json:"modified"`
	Deleted     int `json:"deleted"`
	TypeChanged int `json:"type_changed"`
	Already     int `json:"already"` // nothing was to be done
	Merged      int `json:"merged"`  // of the modified, those with changes of both sides
}

// ApplyEntry is one path that is not in the workspace as it was.
type ApplyEntry struct {
	Path       string     `json:"path"`        // relative to Directory; what is not UTF-8 is U+FFFD
	PathBase64 *string    `json:"path_base64"` // the bytes of Path where that is not UTF-8, else null
	Status     DiffStatus `json:"status"`
	Already    bool       `json:"already"` // it was so before
	Merged     bool       `json:"merged"`  // git put the changes of both sides together
	Flagged    *string    `json:"flagged"` // why it may run by itself on this machine, if it may
}

// TreeChange is one difference between a workspace and what it was seeded with, in the
// answer to GET /v1/changes. Content follows it.
type TreeChange struct {
	Path []byte    `json:"p"` // below /workspace; bytes, as names are
	Old  *TreeSide `json:"o"` // null: there was nothing
	New  *TreeSide `json:"n"` // null: there is nothing

	Why     string `json:"w"` // "" or: it would run by itself on this machine, where its name does not tell
	Content bool   `json:"c"` // New.Size bytes follow
	Base    bool   `json:"b"` // then Old.Size bytes follow
}

// TreeSide is a file, symlink or empty directory.
type TreeSide struct {
	Kind   string `json:"k"`
	Mode   int    `json:"m"` // twelve bits; of no meaning for a symlink
	Size   int64  `json:"s"` // of a file, in bytes
	SHA256 []byte `json:"d"` // of a file
	Target []byte `json:"l"` // of a symlink
}

// ChangesEnd ends the answer to GET /v1/changes.
type ChangesEnd struct {
	Count    int      `json:"count"`
	Warnings []string `json:"warnings"`
}
