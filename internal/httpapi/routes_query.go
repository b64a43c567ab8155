package httpapi

// The queries of the routes: what stands behind the question mark. A tag query names a
// parameter; limits says what else holds of it, see parameterOf. They are the parameters
// of the supervisor's own routes, which get them as they are.

// createQuery is that of POST /v1/workspaces.
type createQuery struct {
	// The workspace is deleted when the client closes the connection or the server ends. The
	// answer is sent at once and stays open for as long.
	Lease bool `query:"lease" limits:"default=false"`

	// When the seed was read, in Unix seconds: a later push compares with it.
	PackedAt float64 `query:"packed_at" limits:"min=0"`
}

// doctorQuery is that of GET /v1/doctor.
type doctorQuery struct {
	// Looks whether this environment can be used, too.
	Environment string `query:"environment" limits:"maxlen=1024"`
}

// logsQuery is that of GET /v1/workspaces/{id}/logs.
type logsQuery struct {
	Last int  `query:"last" limits:"default=0,min=0"` // so many of the newest commands; 0: all
	All  bool `query:"all" limits:"default=false"`    // those of before the last reset, too
}

// syncQuery is that of PUT /v1/workspaces/{id}/sync.
type syncQuery struct {
	Destination string  `query:"destination"`                              // a directory in /workspace, absolute or relative to it; empty: /workspace itself
	Source      string  `query:"source"`                                   // where the tree comes from, as the answer and the events are to name it
	Mode        string  `query:"mode" limits:"enum=directory|tar_archive"` // what the source is
	PackedAt    float64 `query:"packed_at" limits:"required,min=0"`        // when the source was read, in Unix seconds
}

// compareQuery is that of POST /v1/workspaces/{id}/sync/compare.
type compareQuery struct {
	Destination string  `query:"destination"`                              // as of the push that is to follow, like the rest
	Source      string  `query:"source"`                                   // where the tree comes from
	Mode        string  `query:"mode" limits:"enum=directory|tar_archive"` // what the source is
	PackedAt    float64 `query:"packed_at" limits:"min=0"`                 // when the source was read, in Unix seconds
}

// pathQuery names one thing in the workspace.
type pathQuery struct {
	Path string `query:"path" limits:"required,path"` // absolute, or relative to /workspace
}

// fileListQuery is that of GET /v1/workspaces/{id}/files.
type fileListQuery struct {
	Path      string `query:"path" limits:"path"`                        // absolute, or relative to /workspace; empty: /workspace
	Recursive bool   `query:"recursive" limits:"default=false"`          // each directory is followed by what is in it
	Limit     int    `query:"limit" limits:"default=0,min=0,max=100000"` // at most so many entries; 0: as many as may be
	After     string `query:"after" limits:"path"`                       // only what comes after this path in the list: next_after of the one before
}

// fileReadQuery is that of GET /v1/workspaces/{id}/files/read.
type fileReadQuery struct {
	Path     string `query:"path" limits:"required,path"`                    // absolute, or relative to /workspace
	MaxBytes int    `query:"max_bytes" limits:"default=0,min=0,max=1048576"` // at most so many; 0: 65536
	Offset   *int64 `query:"offset" limits:"min=0"`                          // where to begin. With one, 0 too, the file may be of any size; without, of 1048576 bytes at most
	Base64   bool   `query:"base64" limits:"default=false"`                  // content_base64, too
}

// fileRangeQuery is that of GET /v1/workspaces/{id}/files/content.
type fileRangeQuery struct {
	Path   string `query:"path" limits:"required,path"`     // absolute, or relative to /workspace
	Offset int64  `query:"offset" limits:"default=0,min=0"` // where to begin, in bytes
	Length int64  `query:"length" limits:"default=0,min=0"` // in bytes; 0: to the end
}

// fileWriteQuery is that of PUT /v1/workspaces/{id}/files/content.
type fileWriteQuery struct {
	Path      string `query:"path" limits:"required,path"`                 // absolute, or relative to /workspace
	Mode      string `query:"mode" limits:"pattern=^0*[0-7][0-7]?[0-7]?$"` // rwx bits in octal, to 0777; none: those the file has, 0644 for a new one
	Exclusive bool   `query:"exclusive" limits:"default=false"`            // a file that is there is an error
}

// fileDeleteQuery is that of DELETE /v1/workspaces/{id}/files.
type fileDeleteQuery struct {
	Path      string `query:"path" limits:"required,path"`      // absolute, or relative to /workspace
	Recursive bool   `query:"recursive" limits:"default=false"` // a directory with all that is in it; else files and links alone
}

// patchQuery is that of POST /v1/workspaces/{id}/patch.
type patchQuery struct {
	MaxBytes int  `query:"max_bytes" limits:"default=0,min=0,max=67108864"` // longer ones are refused; 0: 1048576
	DryRun   bool `query:"dry_run" limits:"default=false"`                  // finds out whether it applies, and changes nothing
}

// shellReadQuery is that of GET /v1/workspaces/{id}/shells/{shell}/output.
type shellReadQuery struct {
	Cursor        int64 `query:"cursor" limits:"default=0,min=0"`           // where to begin, in code points since the shell began: next_cursor of the last read
	MaxChars      int   `query:"max_chars" limits:"default=65536,min=0"`    // at most so many code points
	Plain         bool  `query:"plain" limits:"default=false"`              // as a terminal would show it, without control sequences
	WaitForIdleMS *int  `query:"wait_for_idle_ms" limits:"min=1,max=10000"` // answers when nothing new has come for so long; none: it does not wait
}

// tailQuery is that of the logs of a service.
type tailQuery struct {
	TailLines int `query:"tail_lines" limits:"default=200,min=0"` // so many of the last lines of each stream; 0: all that is kept
}

// afterQuery is that of the events.
type afterQuery struct {
	After int64 `query:"after" limits:"default=0,min=0"` // only events with a greater sequence
}

// diffQuery is that of GET /v1/workspaces/{id}/diff.
type diffQuery struct {
	Path    []string `query:"path" limits:"max=1000"`                       // only these files or directories; may be given more than once
	Against string   `query:"against" limits:"default=baseline"`            // a snapshot
	NoPatch bool     `query:"no_patch" limits:"default=false"`              // leaves the patches out, and with them the counts of lines
	Format  string   `query:"format" limits:"enum=json|patch,default=json"` // patch: git's patch as frames, of any length
}

// changesQuery is that of GET /v1/workspaces/{id}/changes.
type changesQuery struct {
	Bases bool `query:"bases" limits:"default=true"` // with what files held before
}

// diskListQuery is that of GET /v1/workspaces/{id}/disk/list.
type diskListQuery struct {
	Path      string `query:"path" limits:"path"`               // absolute in the guest, or relative to /workspace; empty: /workspace
	Recursive bool   `query:"recursive" limits:"default=false"` // each directory is followed by what is in it
}

// diskReadQuery is that of GET /v1/workspaces/{id}/disk/read.
type diskReadQuery struct {
	Path     string `query:"path" limits:"required,path"`                     // absolute in the guest, or relative to /workspace
	MaxBytes int    `query:"max_bytes" limits:"default=0,min=0,max=67108864"` // at most so many; 0: 65536
}

// diskTarQuery is that of GET /v1/workspaces/{id}/disk/tar.
type diskTarQuery struct {
	Path string `query:"path" limits:"path"` // a directory, file or symlink; empty: /workspace
}
