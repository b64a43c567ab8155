package workspace

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// ForkFrom is what a new workspace is to begin as: a snapshot of another one, an image
// that its supervisor keeps for that, or else what start would bring back.
type ForkFrom struct {
	Workspace string     `json:"workspace"`
	Snapshot  string     `json:"snapshot,omitempty"`
	Image     *SavedDisk `json:"image,omitempty"`
	Memory    bool       `json:"memory,omitempty"` // the image has the processes, too
}

// Origin is what of it stays in the record.
func (f ForkFrom) Origin() *Origin { return &Origin{WorkspaceID: f.Workspace, Snapshot: f.Snapshot} }

// ForkSource finds the state that a fork of the workspace begins with.
func (r *Record) ForkSource(from ForkFrom) (Source, error) {
	const back = "try again, or fork a snapshot"
	switch {
	case r.Kind != KindWorkspace || r.State != api.StateStarted && r.State != api.StateStopped:
		return Source{}, &api.Error{Kind: api.Conflict, Hint: "`pyro workspace list` shows those there are", Err: errors.New("it is not one that can be forked")}
	case from.Snapshot != "":
		return r.Source(from.Snapshot)
	case from.Image != nil:
		return Source{Disk: from.Image, Memory: from.Memory, Back: back}, nil
	}
	return Source{Disk: r.Disk, Back: back}, nil
}

// NewForkImage is an image that no record names. What makes it frees it.
func NewForkImage(number int, pushes []Push, now time.Time) *SavedDisk {
	return &SavedDisk{Place: forkName, Generation: number, At: api.At(now), Pushes: slices.Clone(pushes)}
}

// Make makes the directory of an image.
func (d *SavedDisk) Make(workspace string) error { return d.make(workspace) }

// BorrowBaseline gives a workspace the baseline of another one: the same files where the
// file system can do that, else copies. nil is none. It is verified when it is used.
func BorrowBaseline(ctx context.Context, workspace, from string, baseline *Baseline) error {
	if baseline == nil {
		return nil
	}
	dir, source := filepath.Join(workspace, baselineName), filepath.Join(from, baselineName)
	if err := isDir(source); err != nil {
		return sys.Explain("take over the baseline", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return sys.Explain("take over the baseline", err)
	}
	for _, name := range []string{archiveName, baseline.manifestName()} {
		if err := borrow(ctx, filepath.Join(source, name), filepath.Join(dir, name)); err != nil {
			return sys.Explain("take over the baseline", err)
		}
	}
	fault.Hit("baseline-borrowed")
	return sys.Explain("take over the baseline", errors.Join(sys.SyncDir(dir), sys.SyncDir(workspace)))
}
