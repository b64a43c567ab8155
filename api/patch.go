package api

import (
	"fmt"
	"strings"
)

// Bounds of a patch, in bytes.
const (
	DefaultPatchBytes = 1 << 20  // unless more is allowed
	MaxPatchBytes     = 64 << 20 // whatever is allowed
	MaxPatchEcho      = 1 << 20  // of Patch.Patch
)

// PatchRequest says how a patch is applied.
type PatchRequest struct {
	MaxBytes int  // refuse longer ones, 1 to MaxPatchBytes; 0: DefaultPatchBytes
	DryRun   bool // find out whether it applies, and change nothing
}

// Check brings the request into its one form, or says why it cannot be done.
func (r PatchRequest) Check() (PatchRequest, error) {
	if r.MaxBytes == 0 {
		r.MaxBytes = DefaultPatchBytes
	}
	if r.MaxBytes < 1 || r.MaxBytes > MaxPatchBytes {
		return r, invalid("max_bytes", fmt.Sprintf("is %d, allowed are 1 to %d", r.MaxBytes, MaxPatchBytes), "split the patch by files")
	}
	return r, nil
}

// CheckPatch returns an Invalid error for a patch that holds nothing, or more than may
// be.
func CheckPatch(patch string, maxBytes int) error {
	switch {
	case strings.TrimSpace(patch) == "":
		return invalid("patch", "is empty", "give what `git diff` or `diff -u` prints")
	case len(patch) > maxBytes:
		return TooLongPatch(maxBytes)
	}
	return nil
}

// TooLongPatch is the error of a patch of more than maxBytes bytes.
func TooLongPatch(maxBytes int) error {
	hint := fmt.Sprintf("--max-bytes allows up to %d", MaxPatchBytes)
	if maxBytes >= MaxPatchBytes {
		hint = "split the patch by files"
	}
	return invalid("patch", fmt.Sprintf("has more than %d bytes", maxBytes), hint)
}

// PatchStatus says what a patch did to a file.
type PatchStatus string

// What a patch can do. A rename deletes one file and adds another, whose FromPath names the
// first; a copy adds one.
const (
	PatchAdded       PatchStatus = "added"
	PatchModified    PatchStatus = "modified" // content, mode or link target
	PatchDeleted     PatchStatus = "deleted"
	PatchTypeChanged PatchStatus = "type_changed" // a link is now a file, or a file a link
)

// PatchEntry is one file that a patch is about.
type PatchEntry struct {
	Path       string      `json:"path"` // absolute in the guest; what is not UTF-8 is U+FFFD
	Status     PatchStatus `json:"status"`
	FromPath   *string     `json:"from_path"`   // of a file that was renamed or copied, what it was; else null
	PathBase64 *string     `json:"path_base64"` // null where Path is exact
}

// PatchSummary counts entries.
type PatchSummary struct {
	Total       int `json:"total"`
	Added       int `json:"added"`
	Modified    int `json:"modified"`
	Deleted     int `json:"deleted"`
	TypeChanged int `json:"type_changed"`
}

// Patch says what came of a patch. All of it was applied: one that fails changes nothing.
type Patch struct {
	WorkspaceID    string        `json:"workspace_id"`
	Changed        bool          `json:"changed"` // of a check: would be
	Checked        bool          `json:"checked"` // it was only tried
	Summary        PatchSummary  `json:"summary"`
	Entries        []PatchEntry  `json:"entries"`         // by path
	Patch          string        `json:"patch"`           // as it was given, but for secrets; what is not UTF-8 is U+FFFD
	PatchTruncated bool          `json:"patch_truncated"` // it had more than MaxPatchEcho bytes
	ExecutionMode  ExecutionMode `json:"execution_mode"`
}

// Count fills Summary and Changed from the entries.
func (p *Patch) Count() {
	n := PatchSummary{Total: len(p.Entries)}
	by := map[PatchStatus]*int{
		PatchAdded: &n.Added, PatchModified: &n.Modified, PatchDeleted: &n.Deleted, PatchTypeChanged: &n.TypeChanged,
	}
	for _, e := range p.Entries {
		if count := by[e.Status]; count != nil {
			*count++
		}
	}
	p.Summary, p.Changed = n, n.Total > 0
}
