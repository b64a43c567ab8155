package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/events"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Snapshot is an image that was given a name. Like the others it counts as long as the
// record names it.
type Snapshot struct {
	Name      string        `json:"name"`
	CreatedAt api.Timestamp `json:"created_at"`
	Entries   int           `json:"entries"` // in /workspace
	Bytes     int64         `json:"bytes"`   // of the files there
	Method    string        `json:"method"`
	Disk      *SavedDisk    `json:"disk"`
}

// maxKeptPushes is how many pushes a snapshot remembers. The record is read whole by
// everybody who asks.
const maxKeptPushes = 4

// NewSnapshot makes the directory for the image of a snapshot of that name, which must
// not be taken.
func NewSnapshot(workspace string, r *Record, name string, now time.Time) (*Snapshot, error) {
	if r.FindSnapshot(name) != nil {
		return nil, &api.Error{
			Kind: api.Exists, Hint: "choose another name, or `pyro workspace snapshot delete " + r.ID + " " + name + "` first",
			Err: fmt.Errorf("snapshot %q exists", name),
		}
	}
	if len(r.Snapshots) >= api.MaxSnapshots {
		return nil, &api.Error{
			Kind: api.Conflict, Hint: "delete one that is not needed any more",
			Err: fmt.Errorf("there are %d snapshots, as many as there may be", len(r.Snapshots)),
		}
	}
	if err := PruneSnapshots(workspace, r); err != nil {
		return nil, err
	}
	disk := &SavedDisk{Place: snapshotName, Generation: after(r.snapshotDisks()), At: api.At(now)}
	disk.Pushes = slices.Clone(r.Pushes[max(0, len(r.Pushes)-maxKeptPushes):])
	return &Snapshot{Name: name, CreatedAt: api.At(now), Method: methodOf(r.Engine), Disk: disk}, disk.make(workspace)
}

// methodOf is what an engine's images hold.
func methodOf(info engine.Info) string {
	if info.Isolation == "none" {
		return api.MethodTree
	}
	return api.MethodDisk
}

func (r *Record) snapshotDisks() []*SavedDisk {
	disks := make([]*SavedDisk, len(r.Snapshots))
	for i := range r.Snapshots {
		disks[i] = r.Snapshots[i].Disk
	}
	return disks
}

// PruneSnapshots removes the images of snapshots that r does not name.
func PruneSnapshots(workspace string, r *Record) error {
	return prune(workspace, snapshotName, r.snapshotDisks())
}

// FindSnapshot returns the snapshot of that name; nil if there is none.
func (r *Record) FindSnapshot(name string) *Snapshot {
	for i := range r.Snapshots {
		if r.Snapshots[i].Name == name {
			return &r.Snapshots[i]
		}
	}
	return nil
}

// NoSnapshot is the error about a snapshot that is not there.
func NoSnapshot(id, name string) error {
	return &api.Error{
		Kind: api.NotFound, Hint: "`pyro workspace snapshot list " + id + "` shows those there are",
		Err: fmt.Errorf("snapshot %q does not exist", name),
	}
}

// AddSnapshot names a snapshot. Copies of the record share the old list and are read
// without a lock.
func (r *Record) AddSnapshot(s Snapshot) { r.Snapshots = append(slices.Clone(r.Snapshots), s) }

// DropSnapshot forgets the snapshot of that name.
func (r *Record) DropSnapshot(name string) error {
	if name == api.Baseline {
		return &api.Error{Kind: api.Invalid, Hint: "name another snapshot", Err: errors.New("the baseline cannot be deleted")}
	}
	if r.FindSnapshot(name) == nil {
		return NoSnapshot(r.ID, name)
	}
	r.Snapshots = slices.DeleteFunc(slices.Clone(r.Snapshots), func(s Snapshot) bool { return s.Name == name })
	return nil
}

// Back is the hint of somebody whose snapshot turns out to be damaged.
func (s *Snapshot) Back(id string) string {
	return "choose another snapshot, or the baseline; `pyro workspace snapshot delete " + id + " " + s.Name + "` removes this one"
}

// View is the snapshot as its owner sees it.
func (s *Snapshot) View(id string) api.Snapshot {
	return api.Snapshot{
		WorkspaceID: id, SnapshotName: s.Name, Kind: api.SnapshotNamed, CreatedAt: s.CreatedAt,
		EntryCount: s.Entries, BytesWritten: s.Bytes, Deletable: true, Method: s.Method, DiskBytes: s.Disk.Size(),
	}
}

// BaselineView is the baseline as its owner sees it.
func (r *Record) BaselineView() api.Snapshot {
	view := api.Snapshot{
		WorkspaceID: r.ID, SnapshotName: api.Baseline, Kind: api.SnapshotBaseline, CreatedAt: r.CreatedAt,
		EntryCount: r.Seed.EntryCount, BytesWritten: r.Seed.BytesWritten, Method: api.MethodTree,
	}
	if r.Baseline != nil {
		view.DiskBytes = r.Baseline.ArchiveSize
	}
	return view
}

// SnapshotList is the baseline and the snapshots, the newest first.
func (r *Record) SnapshotList() *api.SnapshotList {
	list := &api.SnapshotList{WorkspaceID: r.ID, Count: 1 + len(r.Snapshots), Snapshots: []api.Snapshot{r.BaselineView()}}
	for i := range r.Snapshots {
		list.Snapshots = append(list.Snapshots, r.Snapshots[i].View(r.ID))
	}
	slices.SortStableFunc(list.Snapshots[1:], func(a, b api.Snapshot) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), strings.Compare(a.SnapshotName, b.SnapshotName))
	})
	return list
}

// DeleteSnapshot removes a snapshot of a workspace that no supervisor holds.
func DeleteSnapshot(ctx context.Context, st *store.Store, id, name string) (*api.SnapshotDelete, error) {
	const op = "delete snapshot"
	if _, err := Status(ctx, st, id); err != nil { // settled by this, if need be
		return nil, err
	}
	w, err := st.Lock(ctx, id)
	if errors.Is(err, api.NotFound) {
		return nil, Missing(st, id)
	} else if err != nil {
		return nil, api.About(op, id, err)
	}
	defer func() { _ = w.Unlock() }()
	r, err := Read(st, id)
	if err != nil {
		return nil, err
	}
	if err := r.DropSnapshot(name); err != nil {
		return nil, api.About(op, id, err)
	}
	r.LastActivityAt = api.At(time.Now())
	if err := Write(w, r); err != nil {
		return nil, err
	}
	fault.Hit("snapshot-dropped")
	_ = events.Append(w.Path(), api.Event{Kind: api.EventSnapshotDeleted, At: r.LastActivityAt, Name: &name}) // it is deleted all the same
	if err := PruneSnapshots(w.Path(), &r); err != nil {
		return nil, api.About(op, id, err)
	}
	return &api.SnapshotDelete{WorkspaceID: id, SnapshotName: name, Deleted: true}, nil
}

// Borrow makes a new image in the workspace whose directory is given out of one that
// lies in another place, perhaps of another workspace: the same files where the file
// system can do that, else copies. Its files are as they were sealed, or not at all:
// that is for Verify to find out. r names the images that count.
func Borrow(ctx context.Context, workspace string, r *Record, from *SavedDisk, fromDir string) (*SavedDisk, error) {
	image, err := NewImage(workspace, r)
	if err != nil {
		return nil, err
	}
	image.Format, image.At, image.Files, image.Pushes = from.Format, from.At, from.Files, from.Pushes
	dir := image.Dir(workspace)
	for name := range from.Files {
		if name != filepath.Base(name) {
			return nil, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("%q is no name of a file of an image", name)}
		}
		if err := borrow(ctx, filepath.Join(fromDir, name), filepath.Join(dir, name)); err != nil {
			return nil, errors.Join(sys.Explain("bring back disk", err), os.RemoveAll(dir))
		}
	}
	fault.Hit("image-borrowed")
	return image, sys.Explain("bring back disk", errors.Join(sys.SyncDir(dir), sys.SyncDir(filepath.Dir(dir))))
}

// borrow links a file, or copies it where that cannot be done.
func borrow(ctx context.Context, from, to string) error {
	if err := fault.Error("image-borrow"); err != nil {
		return err
	}
	source, err := openRegular(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	if os.Link(from, to) == nil {
		return nil
	}
	return copyTo(ctx, source, to)
}

// copyTo copies a file: as shared blocks where the file system has those.
func copyTo(ctx context.Context, source *os.File, to string) error {
	copied, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY|sys.NoFollow, 0o644)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = source.Close() })
	defer stop()
	_, err = io.Copy(copied, source)
	if err == nil {
		err = errors.Join(copied.Chmod(0o644), copied.Sync())
	}
	return errors.Join(context.Cause(ctx), err, copied.Close())
}

// Source is a state that a workspace can be brought back to.
type Source struct {
	Snapshot api.Snapshot
	Disk     *SavedDisk // nil: the baseline
	Memory   bool       // Disk is an image of a whole sandbox, its processes included
	Back     string     // the hint where it cannot be
}

// Source finds a state by its name: that of a snapshot, or the baseline's.
func (r *Record) Source(name string) (Source, error) {
	if name == api.Baseline {
		return Source{Snapshot: r.BaselineView()}, nil
	}
	s := r.FindSnapshot(name)
	if s == nil {
		return Source{}, NoSnapshot(r.ID, name)
	}
	return Source{Snapshot: s.View(r.ID), Disk: s.Disk, Back: s.Back(r.ID)}, nil
}

// ResetTo is a snapshot as the source of a reset.
func ResetTo(s api.Snapshot) api.ResetSource {
	return api.ResetSource{
		SnapshotName: s.SnapshotName, Kind: s.Kind, Destination: api.WorkspacePath,
		EntryCount: s.EntryCount, BytesWritten: s.BytesWritten,
	}
}
