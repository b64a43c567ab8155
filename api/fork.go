package api

import (
	"fmt"
	"strings"
)

// MaxForks is how many workspaces one call may make.
const MaxForks = 64

// ForkedFrom is the key of the label and of the metadata that name the workspace which
// another was forked from; ForkedSnapshot that of the metadata that names the snapshot.
const (
	ForkedFrom     = "forked_from"
	ForkedSnapshot = "forked_snapshot"
)

// ForkRequest asks for workspaces that begin as another one is.
type ForkRequest struct {
	// Name is that of the first; the others have -2, -3 and so on behind it. Empty: they
	// have none.
	Name string `json:"name,omitempty"`

	Count int    `json:"count,omitempty"` // 0: one
	From  string `json:"from,omitempty"`  // a snapshot; empty: the disk as it is now

	// Memory forks the running processes, too: shells and services go on, without the
	// ports that were published; commands end, as their clients are elsewhere. Refused
	// where there are secrets.
	Memory bool `json:"memory,omitempty"`

	// AllowHostCompat is consent, for this call, to run without isolation; needed for
	// a workspace that was made so.
	AllowHostCompat bool `json:"allow_host_compat,omitempty"`
}

// WithDefaults trims texts and fills in the number.
func (r ForkRequest) WithDefaults() ForkRequest {
	r.Name, r.From = strings.TrimSpace(r.Name), strings.TrimSpace(r.From)
	if r.Count == 0 {
		r.Count = 1
	}
	return r
}

// Check refuses what cannot be done, in a request that has its defaults.
func (r ForkRequest) Check() error {
	switch {
	case r.Count < 1 || r.Count > MaxForks:
		return invalid("count", fmt.Sprintf("is %d, allowed are 1 to %d", r.Count, MaxForks), "choose a value in that range")
	case r.Memory && r.From != "":
		return invalid("memory", "cannot be had from a snapshot, which holds the disk alone", "leave out one of the two")
	case r.From != "":
		if err := CheckSnapshotName(r.From); err != nil {
			return err
		}
	}
	return CheckName(r.NameOf(r.Count))
}

// NameOf is the name of the n-th fork, from 1.
func (r ForkRequest) NameOf(n int) string {
	if r.Name == "" || n == 1 {
		return r.Name
	}
	return fmt.Sprintf("%s-%d", r.Name, n)
}

// Fork is the workspaces that were made from one.
type Fork struct {
	WorkspaceID  string      `json:"workspace_id"`  // of the one that they were made from
	SnapshotName *string     `json:"snapshot_name"` // null: its disk as it was
	Count        int         `json:"count"`
	Workspaces   []Workspace `json:"workspaces"`
}
