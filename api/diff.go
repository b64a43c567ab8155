package api

import (
	"encoding/base64"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// Bounds of a diff.
const (
	MaxDiffEntries   = 100_000  // in WorkspaceDiff.Entries
	MaxTextPatch     = 1 << 20  // bytes, of one DiffEntry.TextPatch
	MaxDiffPatch     = 8 << 20  // bytes, of WorkspaceDiff.Patch, and of all text patches together
	MaxDiffFile      = 64 << 20 // bytes: a longer file is not looked into, and not in WorkspaceDiff.Patch
	MaxPatchFile     = 1 << 30  // bytes, of a file in a patch that is streamed; git takes no longer patch
	MaxDiffPaths     = 1000     // of DiffRequest.Paths
	maxDiffPathBytes = 4096     // of one of them
)

// DiffBaseline is what a workspace is compared with unless another snapshot is named: the
// state right after it was created.
const DiffBaseline = "baseline"

// DiffRequest says what of a workspace is compared, and with what.
type DiffRequest struct {
	// Paths are files or directories, absolute in the guest or relative to /workspace:
	// only these, and what is below them, is told. None: everything.
	Paths []string

	// Against is the name of a snapshot; empty means DiffBaseline.
	Against string

	// NoPatch leaves all patches out of the answer, and with them the counts of lines.
	NoPatch bool
}

// Check brings the request into its one form, in which Paths are relative to /workspace,
// or says why it cannot be done. A path that is /workspace itself stands for everything.
func (r DiffRequest) Check() (DiffRequest, error) {
	const hint = "name files or directories as they are called below /workspace"
	if len(r.Paths) > MaxDiffPaths {
		return r, invalid("paths", fmt.Sprintf("are %d, allowed are %d", len(r.Paths), MaxDiffPaths), "name directories that hold them")
	}
	var paths []string
	everything := len(r.Paths) == 0
	for _, given := range r.Paths {
		switch {
		case given == "":
			return r, invalid("path", "must not be empty", hint)
		case len(given) > maxDiffPathBytes || strings.ContainsRune(given, 0):
			return r, invalid("path", fmt.Sprintf("%q is no possible path", clip(given)), hint)
		}
		clean := path.Clean(given)
		if path.IsAbs(clean) {
			below, inside := strings.CutPrefix(clean+"/", WorkspacePath+"/")
			if !inside {
				return r, invalid("path", fmt.Sprintf("%q is not in %s", clip(given), WorkspacePath), hint)
			}
			clean = path.Clean(strings.TrimSuffix(below, "/"))
		}
		if clean == ".." || strings.HasPrefix(clean, "../") {
			return r, invalid("path", fmt.Sprintf("%q leads out of %s", clip(given), WorkspacePath), hint)
		}
		everything = everything || clean == "."
		paths = append(paths, clean)
	}
	if everything {
		paths = nil
	}
	r.Paths = paths
	if r.Against == "" {
		r.Against = DiffBaseline
	}
	return r, nil
}

// DiffStatus says what became of a thing.
type DiffStatus string

// What may have become of a thing. Another mode alone, or another target of a symlink, is
// DiffModified.
const (
	DiffAdded       DiffStatus = "added"
	DiffModified    DiffStatus = "modified"
	DiffDeleted     DiffStatus = "deleted"
	DiffTypeChanged DiffStatus = "type_changed" // a file, symlink or empty directory is another of these
)

// Why an entry has no text patch although it is text, or may be.
const (
	OmittedFileTooLarge = "too large"                               // the file is longer than MaxDiffFile
	OmittedLongPatch    = "its patch is longer than 1 MiB"          // MaxTextPatch
	OmittedManyPatches  = "the text patches are longer than 8 MiB"  // MaxDiffPatch
	OmittedUnasked      = "no patches were asked for"               // DiffRequest.NoPatch
	OmittedGitDirectory = "git takes no patch of what is in a .git" // of Patch alone
	OmittedNoGitForm    = "git has no form for it"                  // directories, and modes beyond 644 and 755
)

// DiffEntry is one file, symlink or empty directory that is not as it was. What there is
// not on one side is null there.
type DiffEntry struct {
	Path       string       `json:"path"`        // relative to /workspace; what is not UTF-8 is U+FFFD
	PathBase64 *string      `json:"path_base64"` // the bytes of Path where that is not UTF-8, else null
	Status     DiffStatus   `json:"status"`
	Type       ArtifactType `json:"artifact_type"` // file, symlink or directory: what it is now, or was
	TextPatch  *string      `json:"text_patch"`    // unified, from the --- line on; null where there is none

	OldMode    *string `json:"old_mode"`   // as git writes it: 100644, 100755, 120000; null for directories
	NewMode    *string `json:"new_mode"`   // the same
	OldBits    *string `json:"old_bits"`   // the twelve bits in octal, where they are on both sides and differ
	NewBits    *string `json:"new_bits"`   // the same
	OldTarget  *string `json:"old_target"` // of a symlink
	NewTarget  *string `json:"new_target"`
	OldSize    *int64  `json:"old_size"` // of a file, in bytes
	NewSize    *int64  `json:"new_size"`
	Binary     *bool   `json:"binary"`     // of a file: it is not text on one of the sides; null where nobody looked
	Insertions *int    `json:"insertions"` // lines; null where lines are not compared
	Deletions  *int    `json:"deletions"`

	Omitted *string `json:"omitted"` // why it has no text patch, or is not in Patch; else null
	Flagged *string `json:"flagged"` // why it may run by itself on the host, if it may
}

// SetPath sets Path and PathBase64.
func (e *DiffEntry) SetPath(name string) {
	e.Path, e.PathBase64 = name, nil
	if !utf8.ValidString(name) {
		coded := base64.StdEncoding.EncodeToString([]byte(name))
		e.Path, e.PathBase64 = strings.ToValidUTF8(name, "\uFFFD"), &coded
	}
}

// DiffSummary counts entries, those that are left out of the answer too. Total is the sum
// of the next four, and of the last two.
type DiffSummary struct {
	Total       int `json:"total"`
	Added       int `json:"added"`
	Modified    int `json:"modified"`
	Deleted     int `json:"deleted"`
	TypeChanged int `json:"type_changed"`
	TextPatched int `json:"text_patched"` // changes of lines
	NonText     int `json:"non_text"`     // everything else
}

// Count adds an entry. lines says whether it is a change of lines of text.
func (s *DiffSummary) Count(status DiffStatus, lines bool) {
	s.Total++
	switch status {
	case DiffAdded:
		s.Added++
	case DiffModified:
		s.Modified++
	case DiffDeleted:
		s.Deleted++
	case DiffTypeChanged:
		s.TypeChanged++
	}
	if lines {
		s.TextPatched++
	} else {
		s.NonText++
	}
}

// DiffAgainst is what a workspace was compared with.
type DiffAgainst struct {
	Kind         string `json:"kind"` // baseline or named
	SnapshotName string `json:"snapshot_name"`
}

// WorkspaceDiff is what is not in a workspace as it was. The values of secrets are
// redacted.
type WorkspaceDiff struct {
	WorkspaceID    string      `json:"workspace_id"`
	Changed        bool        `json:"changed"`
	Summary        DiffSummary `json:"summary"`
	Entries        []DiffEntry `json:"entries"`         // by path
	EntriesOmitted int         `json:"entries_omitted"` // beyond MaxDiffEntries
	Patch          string      `json:"patch"`           // as git diff --binary prints it
	PatchTruncated bool        `json:"patch_truncated"` // some of it is left out: what git takes is then Workspace.Patch
	Against        DiffAgainst `json:"against"`
	Paths          []string    `json:"paths"` // that were asked for; none: all
	Warnings       []string    `json:"warnings"`
}

// DiffPatched says what a patch holds, at its end.
type DiffPatched struct {
	WorkspaceID string      `json:"workspace_id"`
	Summary     DiffSummary `json:"summary"`
	Redacted    bool        `json:"redacted"` // it holds the value of a secret no more, and cannot be applied
	Warnings    []string    `json:"warnings"`
}
