package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/bench/plain"
)

// stateDisk is what the workspaces hold whose states are saved and brought back.
const stateDisk = 1_000_000

// snapshot is a snapshot of a workspace that runs, against the boot of a plain sandbox.
func snapshot(ctx context.Context, b *bench) (r result, err error) {
	if err := b.learn(ctx); err != nil {
		return r, err
	}
	err = b.withDisk(ctx, stateDisk, func(ws *pyro.Workspace) error {
		saved := func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			_, err := ws.CreateSnapshot(ctx, "one")
			took := time.Since(began)
			if err == nil {
				_, err = ws.DeleteSnapshot(ctx, "one")
			}
			return took, err
		}
		sides, err := inTurns(ctx, b.n, saved, b.plain)
		if err != nil {
			return err
		}
		r = compared(sides[0], sides[1])
		return nil
	})
	r.What = fmt.Sprintf("SDK: a snapshot of a workspace with %s of data", megabytes(stateDisk))
	r.Command, r.Target = b.recipe.Command(), "<= 1"
	return r, err
}

// reset is a reset to a snapshot, against a plain sandbox from the same image, up to the
// agent's first answer.
func reset(ctx context.Context, b *bench) (r result, err error) {
	err = b.withDisk(ctx, stateDisk, func(ws *pyro.Workspace) error {
		recipe, err := b.learnStart(ctx, ws)
		if err != nil {
			return err
		}
		if ws, err = b.client.Start(ctx, ws.ID(), api.StartRequest{}); err != nil {
			return err
		}
		if _, err := ws.CreateSnapshot(ctx, "one"); err != nil {
			return err
		}
		back := b.wall(b.program("pyro"), "workspace", "reset", ws.ID(), "--snapshot", "one")
		restored := func(ctx context.Context) (time.Duration, error) {
			image, err := b.imageOf(ws.ID()) // the same as the snapshot's
			if err != nil {
				return 0, err
			}
			return b.prepared(ctx, recipe, func(s *plain.Sandbox, ctx context.Context) (time.Duration, error) {
				return s.Answer(ctx, image)
			})
		}
		sides, err := inTurns(ctx, b.n, back, restored)
		if err != nil {
			return err
		}
		r = compared(sides[0], sides[1])
		r.Command = recipe.Command()
		return nil
	})
	r.What = fmt.Sprintf("process: pyro workspace reset to a snapshot with %s of data; the end of what there was is in its time%s", megabytes(stateDisk), notInBaseline)
	r.Target = "<= 1.5"
	return r, err
}

// forkOf is how many workspaces are made at once.
const forkOf = 4

// fork is that many workspaces from one that runs, against one start from the same disk.
func fork(ctx context.Context, b *bench) (r result, err error) {
	err = b.withDisk(ctx, stateDisk, func(ws *pyro.Workspace) error {
		return b.withDisk(ctx, stateDisk, func(other *pyro.Workspace) error {
			if _, err := other.Stop(ctx, api.StopRequest{}); err != nil {
				return err
			}
			forked := func(ctx context.Context) (time.Duration, error) { return b.fork(ctx, ws) }
			started := func(ctx context.Context) (time.Duration, error) { return b.start(ctx, other.ID()) }
			sides, err := inTurns(ctx, b.n, forked, started)
			if err != nil {
				return err
			}
			r = compared(sides[0], sides[1])
			return nil
		})
	})
	r.What = fmt.Sprintf("SDK: %d forks of a workspace that runs with %s of data", forkOf, megabytes(stateDisk))
	r.Command, r.Target = "pyro workspace start of one with the same data", "<= 2"
	return r, err
}

func (b *bench) fork(ctx context.Context, ws *pyro.Workspace) (time.Duration, error) {
	began := time.Now()
	made, err := ws.Fork(ctx, api.ForkRequest{Count: forkOf})
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	var errs []error
	for i := range made.Workspaces {
		_, err := b.client.Delete(context.WithoutCancel(ctx), made.Workspaces[i].WorkspaceID)
		errs = append(errs, err)
	}
	return took, errors.Join(errs...)
}
