package supervisor

import (
	"context"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// starter starts a sandbox in an engine, its disk as it was saved in a directory, or empty.
type starter func(ctx context.Context, e engine.Engine, disk string) (*box, error)

// bringBack starts the first sandbox with the disk of an image that start may bring back,
// or with the seed.
func (s *supervisor) bringBack(ctx context.Context, e engine.Engine, from *workspace.SavedDisk) error {
	back := ""
	if from != nil {
		back = s.record.WayBack(from)
	}
	_, err := s.revive(ctx, e, from, back, s.first)
	return err
}

// first is boot as a starter.
func (s *supervisor) first(ctx context.Context, e engine.Engine, disk string) (*box, error) {
	err := s.boot(ctx, e, saved{disk: disk})
	return s.box(), err
}

// revive starts a sandbox with the disk of an image, or with the seed for nil. That this
// engine wrote the image, and that it is as it was saved, is found out beside the boot: no
// code of the guest runs before both are done. back is the hint where it is not. After an
// error a sandbox that is returned is to be ended.
func (s *supervisor) revive(ctx context.Context, e engine.Engine, from *workspace.SavedDisk, back string, start starter) (*box, error) {
	if from == nil {
		return s.reviveSeed(ctx, e, start)
	}
	path := s.held.Path()
	keeper, ok := e.(engine.DiskKeeper)
	if !ok {
		return nil, from.Foreign(e.Info().Name, back)
	}
	if err := from.Present(path, back); err != nil {
		return nil, err
	}
	verified := beside(func() error {
		format, err := keeper.DiskFormat(ctx)
		if err == nil {
			err = from.Foreign(format, back)
		}
		if err == nil {
			err = from.Verify(ctx, path, back)
		}
		return err
	})
	b, err := start(ctx, e, from.Dir(path))
	if unfit := <-verified; unfit != nil {
		return b, unfit // which explains why the boot failed, if it did
	}
	return b, err
}

// reviveSeed starts a sandbox that is as the workspace was created.
func (s *supervisor) reviveSeed(ctx context.Context, e engine.Engine, start starter) (*box, error) {
	seed := s.recorded().Baseline
	if seed == nil {
		return start(ctx, e, "")
	}
	path := s.held.Path()
	verified := beside(func() error { return seed.Verify(ctx, path) })
	b, err := start(ctx, e, "")
	if damaged := <-verified; damaged != nil {
		return b, damaged
	}
	if err != nil {
		return b, err
	}
	archive, err := workspace.BaselineArchive(path)
	if err != nil {
		return b, err
	}
	defer func() { _ = archive.Close() }()
	_, err = b.agent().PushTree(ctx, s.guestPath(api.WorkspacePath), archive)
	return b, err
}

// beside runs f in a goroutine, which ends with it.
func beside(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}
