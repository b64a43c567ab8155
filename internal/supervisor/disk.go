package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// use counts what is done in the workspace.
type use struct {
	begun  atomic.Int64 // ever
	active atomic.Int64 // now
	last   atomic.Int64 // when something last began or ended, in Unix nanoseconds
}

// enter is busy, unless the workspace has ended. It waits for a stop that is under
// way.
func (s *supervisor) enter(op string) (done func(), err error) {
	s.turn.RLock()
	defer s.turn.RUnlock()
	if s.over() {
		return nil, s.tooLate(op)
	}
	return s.busy(), nil
}

// sure returns an error unless what has just been done in the workspace will be in
// the next image. It waits for a stop that is under way.
func (s *supervisor) sure(op string) error {
	s.turn.RLock()
	defer s.turn.RUnlock()
	if s.over() {
		return s.tooLate(op)
	}
	return nil
}

// busy notes that something is done in the workspace until the returned function is
// called.
func (s *supervisor) busy() (done func()) {
	s.use.begun.Add(1)
	s.use.active.Add(1)
	s.use.last.Store(s.Now().UnixNano())
	return func() {
		s.use.last.Store(s.Now().UnixNano())
		s.use.active.Add(-1)
	}
}

// marks tell whether anything may have been written since.
type marks struct {
	begun  int64
	active int64
	stamp  string
}

func (s *supervisor) marks() marks {
	m := marks{begun: s.use.begun.Load(), active: s.use.active.Load()}
	if box, ok := s.box().Sandbox.(engine.DiskSnapshotter); ok {
		m.stamp, _ = box.DiskStamp() // one that cannot be had is always another
	}
	return m
}

// unsaved reports whether the newest image may be out of date.
func (s *supervisor) unsaved() bool {
	s.saving.Lock()
	defer s.saving.Unlock()
	now := s.marks()
	return now != s.saved || now.active > 0 || now.stamp == ""
}

// saveDisk makes an image of the disk and lets it take the place of the newest one,
// in one step. What a start has proven stays until the next start has proven another.
func (s *supervisor) saveDisk(ctx context.Context) error {
	box, keeper, err := s.snapshotter()
	if err != nil {
		return err
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	if ctx.Err() != nil { // while it waited; the lock may have been given up since
		return saveError(s.ID, context.Cause(ctx))
	}
	at := s.marks()
	format, err := keeper.DiskFormat(ctx)
	if err != nil {
		return err
	}
	before := s.recorded()
	image, err := workspace.NewImage(s.held.Path(), &before)
	if err != nil {
		return err
	}
	image.Format, image.At, image.Pushes = format, api.At(s.Now()), slices.Clone(before.Pushes)
	if err = fault.Error("image-write"); err == nil {
		done := s.puts.save(ctx)
		err = box.SaveDisk(ctx, image.Dir(s.held.Path()))
		done()
	}
	if err == nil {
		err = image.Seal(ctx, s.held.Path())
	}
	if err == nil {
		err = s.keepImage(image, before.Disk)
	}
	if err != nil {
		return errors.Join(saveError(s.ID, err), os.RemoveAll(image.Dir(s.held.Path())))
	}
	fault.Hit("image-kept")
	s.saved = at
	now := s.recorded()
	return workspace.PruneImages(s.held.Path(), &now)
}

func saveError(id string, err error) error {
	kind := api.KindOf(err)
	if errors.Is(err, context.Canceled) {
		kind = api.Canceled
	}
	return &api.Error{Kind: kind, Op: "save disk of workspace", ID: id, Hint: api.HintOf(err), Err: err}
}

// keepImage makes an image the newest one, or leaves the one that was.
func (s *supervisor) keepImage(image, before *workspace.SavedDisk) error {
	s.note(func(r *workspace.Record) { r.Disk = image })
	err := s.save()
	if err != nil {
		s.note(func(r *workspace.Record) { r.Disk = before })
	}
	return err
}

// snapshotter finds the power to save the disk.
func (s *supervisor) snapshotter() (engine.DiskSnapshotter, engine.DiskKeeper, error) {
	box, keeper, err := s.box().snapshotter()
	if err != nil {
		err = &api.Error{
			Kind: api.Unsupported, Op: "save disk of workspace", ID: s.ID, Err: err,
			Hint: "take out what you need, or give it up: `pyro workspace stop " + s.ID + " --discard`",
		}
	}
	return box, keeper, err
}

// saveTime bounds one image, and saveRetry is how long after a failure, as on a full
// disk, the next one is tried.
const (
	saveTime  = 10 * time.Minute
	saveRetry = time.Minute
)

// saveOften saves the disk from time to time while something is done, and ends with
// ctx.
func (s *supervisor) saveOften(ctx context.Context) {
	if s.SaveEvery <= 0 || s.kind != workspace.KindWorkspace {
		return
	}
	failed := false
	for wait := s.SaveEvery; ; {
		sys.Sleep(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		wait = s.SaveEvery
		if !s.unsaved() {
			continue
		}
		err := s.saveWithin(ctx)
		if err != nil {
			if !failed && ctx.Err() == nil {
				s.event(api.EventSaveFailed, api.Event{Detail: new(err.Error())})
			}
			wait = min(saveRetry, s.SaveEvery)
			s.complain(!failed && ctx.Err() == nil, err)
		}
		failed = err != nil
	}
}

// complain says in the workspace's log, which is stderr since Settle, what nobody else
// is told: the first time, or it would fill the disk itself.
func (s *supervisor) complain(first bool, err error) {
	if first {
		_, _ = fmt.Fprintf(os.Stderr, "%s: %v; the workspace goes on\n", s.Now().UTC().Format(time.RFC3339), err)
	}
}

func (s *supervisor) saveWithin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	return s.saveDisk(ctx)
}
