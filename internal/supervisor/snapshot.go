package supervisor

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// routeSnapshots adds what is about earlier states, and about copies.
func (s *supervisor) routeSnapshots(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/snapshots", s.serveCreateSnapshot)
	mux.HandleFunc("GET /v1/snapshots", s.serveSnapshots)
	mux.HandleFunc("DELETE /v1/snapshots/{name}", s.serveDeleteSnapshot)
	mux.HandleFunc("POST /v1/reset", s.serveReset)
	mux.HandleFunc("POST /v1/forks", s.serveFork)
}

// turns lets one at a time change which earlier states there are, or go back to one.
type turns chan struct{}

func (t turns) take(ctx context.Context) (done func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, &api.Error{Kind: api.Conflict, Hint: "try again", Err: errors.New("another snapshot or reset was under way for all the time")}
	}
}

// changeStates is enter for what changes or reads earlier states, one at a time. The
// context ends with the workspace, too.
func (s *supervisor) changeStates(ctx context.Context, op string) (context.Context, func(), error) {
	leave, err := s.enter(op)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := s.untilOver(ctx)
	done, err := s.states.take(ctx)
	if err != nil {
		cancel()
		leave()
		if s.over() {
			err = s.tooLate(op)
		}
		return nil, nil, err
	}
	return ctx, func() { done(); cancel(); leave() }, nil
}

const (
	opSnapshot       = "create snapshot"
	opDeleteSnapshot = "delete snapshot"
)

func (s *supervisor) serveCreateSnapshot(w http.ResponseWriter, r *http.Request) {
	var req api.SnapshotRequest
	err := decode(w, r, &req)
	req.SnapshotName = strings.TrimSpace(req.SnapshotName)
	if err == nil {
		err = req.Check()
	}
	var made *api.SnapshotCreate
	if err == nil {
		made, err = s.createSnapshot(r.Context(), req.SnapshotName)
	}
	s.answer(w, opSnapshot, made, err)
}

// createSnapshot saves the disk under a name. What runs goes on.
func (s *supervisor) createSnapshot(ctx context.Context, name string) (*api.SnapshotCreate, error) {
	ctx, done, err := s.changeStates(ctx, opSnapshot)
	if err != nil {
		return nil, err
	}
	defer done()
	before := s.recorded()
	snapshot, err := workspace.NewSnapshot(s.held.Path(), &before, name, s.Now())
	if err != nil {
		return nil, err
	}
	if err = s.fill(ctx, snapshot); err == nil {
		err = s.keepSnapshot(*snapshot)
	}
	if err != nil {
		return nil, s.discard(snapshot.Disk, s.called(ctx, opSnapshot, err))
	}
	fault.Hit("snapshot-kept")
	s.event(api.EventSnapshotCreated, api.Event{Name: &name, Bytes: &snapshot.Bytes})
	now := s.recorded()
	return &api.SnapshotCreate{WorkspaceID: s.ID, Snapshot: snapshot.View(s.ID), ExecutionMode: now.Mode()}, nil
}

// fill saves the disk into a new snapshot, and counts what is in /workspace.
func (s *supervisor) fill(ctx context.Context, snapshot *workspace.Snapshot) error {
	b := s.box()
	counted := beside(func() (err error) {
		snapshot.Entries, snapshot.Bytes, err = countTree(ctx, b)
		return err
	})
	err := s.saveTo(ctx, b, snapshot.Disk)
	return errors.Join(err, <-counted)
}

// saveTo saves the disk of a sandbox into the directory of an image, and takes digests.
func (s *supervisor) saveTo(ctx context.Context, b *box, image *workspace.SavedDisk) error {
	box, keeper, err := b.snapshotter()
	if err != nil {
		return err
	}
	if image.Format, err = keeper.DiskFormat(ctx); err != nil {
		return err
	}
	if err := fault.Error("snapshot-write"); err != nil {
		return err
	}
	done := s.puts.save(ctx)
	err = box.SaveDisk(ctx, image.Dir(s.held.Path()))
	done()
	if err != nil {
		return err
	}
	return image.Seal(ctx, s.held.Path())
}

// snapshotter finds the power to save the disk.
func (b *box) snapshotter() (engine.DiskSnapshotter, engine.DiskKeeper, error) {
	box, ok := b.Sandbox.(engine.DiskSnapshotter)
	keeper, also := b.engine.(engine.DiskKeeper)
	if !ok || !also {
		return nil, nil, &api.Error{
			Kind: api.Unsupported, Hint: "`pyro doctor` shows what the engines can do",
			Err: errors.New("engine " + b.engine.Info().Name + " cannot save a disk"),
		}
	}
	return box, keeper, nil
}

// countTree counts what is in /workspace. It is the guest's word, and nothing on the
// host depends on it.
func countTree(ctx context.Context, b *box) (entries int, bytes int64, err error) {
	_, err = b.agent().Walk(ctx, wire.WalkRequest{Path: api.WorkspacePath, Recursive: true}, func(e *wire.WalkEntry) error {
		entries++
		if e.Kind == string(wire.File) {
			bytes += max(e.Size, 0)
		}
		return nil
	})
	return entries, max(bytes, 0), err
}

// keepSnapshot makes a snapshot count, or leaves everything as it was.
func (s *supervisor) keepSnapshot(snapshot workspace.Snapshot) error {
	return s.change(func(r *workspace.Record) error {
		r.AddSnapshot(snapshot)
		r.LastActivityAt = api.At(s.Now())
		return nil
	})
}

// discard removes the directory of an image that came to nothing, unless the lock was
// given up meanwhile: then whoever takes it next does that.
func (s *supervisor) discard(image *workspace.SavedDisk, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return err
	}
	return errors.Join(err, os.RemoveAll(image.Dir(s.held.Path())))
}

func (s *supervisor) serveSnapshots(w http.ResponseWriter, _ *http.Request) {
	now := s.recorded()
	reply(w, now.SnapshotList())
}

func (s *supervisor) serveDeleteSnapshot(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	err := s.deleteSnapshot(r.Context(), name)
	s.answer(w, opDeleteSnapshot, api.SnapshotDelete{WorkspaceID: s.ID, SnapshotName: name, Deleted: true}, err)
}

func (s *supervisor) deleteSnapshot(ctx context.Context, name string) error {
	_, done, err := s.changeStates(ctx, opDeleteSnapshot)
	if err != nil {
		return err
	}
	defer done()
	err = s.change(func(r *workspace.Record) error {
		r.LastActivityAt = api.At(s.Now())
		return r.DropSnapshot(name)
	})
	if err != nil {
		return err
	}
	fault.Hit("snapshot-deleted")
	s.event(api.EventSnapshotDeleted, api.Event{Name: &name})
	now := s.recorded()
	return workspace.PruneSnapshots(s.held.Path(), &now)
}
