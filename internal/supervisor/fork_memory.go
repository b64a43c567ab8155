package supervisor

import (
	"context"
	"errors"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// saveMemoryTo saves a sandbox with all that runs in it into the directory of an image,
// and takes digests. Where there is or was a secret it refuses: that is in the memory of
// whatever was given it, and would be in that of every fork.
func (s *supervisor) saveMemoryTo(ctx context.Context, b *box, image *workspace.SavedDisk) error {
	running, keeper, err := b.memory()
	if err != nil {
		return err
	}
	s.secrets.changing.Lock()
	defer s.secrets.changing.Unlock()
	if s.secrets.known() != nil {
		return &api.Error{
			Kind: api.Conflict, Hint: "fork it without --memory; or unset the secrets, stop and start it first",
			Err: errors.New("it has, or since its start had, secrets, and they may be in the memory of its processes"),
		}
	}
	if image.Format, err = keeper.MemoryFormat(ctx); err != nil {
		return err
	}
	done := s.puts.save(ctx)
	err = running.SaveMemory(ctx, image.Dir(s.held.Path()))
	done()
	if err != nil {
		return err
	}
	return image.Seal(ctx, s.held.Path())
}

// memory finds the power to save a whole sandbox.
func (b *box) memory() (engine.MemorySnapshotter, engine.MemoryKeeper, error) {
	running, ok := b.Sandbox.(engine.MemorySnapshotter)
	keeper, also := b.engine.(engine.MemoryKeeper)
	if !ok || !also {
		return nil, nil, &api.Error{
			Kind: api.Unsupported, Hint: "leave out --memory: the forks begin with the disk, and no processes",
			Err: errors.New("engine " + b.engine.Info().Name + " cannot save running processes"),
		}
	}
	return running, keeper, nil
}

// wake starts the first sandbox as another one was when its memory was saved, in an image
// that lies in the workspace origin, and saves its disk: that is what a later start brings
// back. Code of the guest runs at once, so the image is proven before.
func (s *supervisor) wake(ctx context.Context, e engine.Engine, source workspace.Source, origin string) (*workspace.SavedDisk, error) {
	image := source.Disk
	keeper, ok := e.(engine.MemoryKeeper)
	if !ok {
		return nil, image.Foreign(e.Info().Name, source.Back)
	}
	if err := image.Present(origin, source.Back); err != nil {
		return nil, err
	}
	format, err := keeper.MemoryFormat(ctx)
	if err == nil {
		err = image.Foreign(format, source.Back)
	}
	if err == nil {
		err = image.Verify(ctx, origin, source.Back)
	}
	if err == nil {
		err = s.boot(ctx, e, saved{memory: image.Dir(origin)})
	}
	if err != nil {
		return nil, err
	}
	s.note(func(r *workspace.Record) { r.Pushes = image.Pushes })
	if err := s.saveDisk(ctx); err != nil {
		return nil, err
	}
	now := s.recorded()
	return now.Disk, nil
}

// meet notes the shells and services that were running when memory was saved.
func (s *supervisor) meet(ctx context.Context) {
	_ = s.refreshShells(ctx) // or when somebody asks
	if s.noteServices(ctx) == nil && s.recordedServices() {
		select {
		case s.services.begun <- struct{}{}: // from now on they are watched
		default:
		}
	}
}

func (s *supervisor) recordedServices() bool {
	now := s.recorded()
	return len(now.Services) > 0
}
