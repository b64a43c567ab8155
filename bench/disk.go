package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/bench/plain"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// The disks that are saved and brought back: one hardly written to, and one with a
// large file.
const (
	smallDisk = 4096
	largeDisk = 100_000_000
)

// stop is a row that compares stopping a workspace with the bare checkpoint of the
// same disk, taken from the same sandbox.
func stop(disk int) func(context.Context, *bench) (result, error) {
	return func(ctx context.Context, b *bench) (r result, err error) {
		err = b.withDisk(ctx, disk, func(ws *pyro.Workspace) error {
			stopping := b.wall(b.program("pyro"), "workspace", "stop", ws.ID())
			stopped := func(ctx context.Context) (time.Duration, error) {
				took, err := stopping(ctx)
				if err == nil {
					err = b.restart(ctx, ws.ID())
				}
				return took, err
			}
			saved := func(ctx context.Context) (time.Duration, error) { return b.checkpoint(ctx, ws.ID()) }
			sides, err := inTurns(ctx, b.n, stopped, saved)
			if err != nil {
				return err
			}
			r = compared(sides[0], sides[1])
			return nil
		})
		r.What = fmt.Sprintf("process: pyro workspace stop of a workspace with %s of data", megabytes(disk))
		r.Command, r.Target = "pyro-runsc … fscheckpoint -leave-running of the same sandbox; nothing synced, no digests, no end", "<= 3"
		return r, err
	}
}

// start is a row that compares starting a stopped workspace with a plain sandbox from
// the same image, up to the agent's first answer.
func start(disk int) func(context.Context, *bench) (result, error) {
	return func(ctx context.Context, b *bench) (r result, err error) {
		err = b.withDisk(ctx, disk, func(ws *pyro.Workspace) error {
			recipe, err := b.learnStart(ctx, ws)
			if err != nil {
				return err
			}
			started := func(ctx context.Context) (time.Duration, error) { return b.start(ctx, ws.ID()) }
			restored := func(ctx context.Context) (time.Duration, error) {
				image, err := b.imageOf(ws.ID())
				if err != nil {
					return 0, err
				}
				return b.prepared(ctx, recipe, func(s *plain.Sandbox, ctx context.Context) (time.Duration, error) {
					return s.Answer(ctx, image)
				})
			}
			sides, err := inTurns(ctx, b.n, started, restored)
			if err != nil {
				return err
			}
			r = compared(sides[0], sides[1])
			r.Command = recipe.Command()
			return nil
		})
		r.What = fmt.Sprintf("process: pyro workspace start of a workspace with %s of data%s", megabytes(disk), notInBaseline)
		r.Target = "<= 1.3"
		return r, err
	}
}

func megabytes(n int) string { return fmt.Sprintf("%.3g MB", float64(n)/1e6) }

// withDisk is with, for a workspace that has a file of so many random bytes.
func (b *bench) withDisk(ctx context.Context, bytes int, f func(*pyro.Workspace) error) error {
	return b.with(ctx, &pyro.CreateOptions{TTL: api.MaxTTLSeconds * time.Second}, func(ws *pyro.Workspace) error {
		line := fmt.Sprintf("head -c %d /dev/urandom >/workspace/data", bytes)
		if err := ws.ShellCommand(ctx, line).Run(); err != nil {
			return err
		}
		return f(ws)
	})
}

// restart starts a stopped workspace and reads what it has, so that nothing of its
// image is left to load.
func (b *bench) restart(ctx context.Context, id string) error {
	ws, err := b.client.Start(ctx, id, api.StartRequest{})
	if err != nil {
		return err
	}
	return ws.ShellCommand(ctx, "cat /workspace/data >/dev/null").Run()
}

// start measures `pyro workspace start`, and stops the workspace again without another
// image.
func (b *bench) start(ctx context.Context, id string) (time.Duration, error) {
	took, err := b.wall(b.program("pyro"), "workspace", "start", id)(ctx)
	if err != nil {
		return 0, err
	}
	ws, err := b.client.Get(ctx, id)
	if err == nil {
		_, err = ws.Stop(ctx, api.StopRequest{Discard: true})
	}
	return took, err
}

// checkpoint saves the disk of a running workspace by pyro-runsc alone.
func (b *bench) checkpoint(ctx context.Context, id string) (time.Duration, error) {
	model, err := b.model(id)
	if err != nil {
		return 0, err
	}
	dir := filepath.Join(b.dir, "checkpoint-"+rand.Text())
	defer func() { _ = os.RemoveAll(dir) }()
	return plain.Checkpoint(ctx, model, b.program("pyro-runsc"), dir)
}

// learnStart makes a recipe for plain sandboxes that start as the workspace does from
// its image, and leaves that stopped.
func (b *bench) learnStart(ctx context.Context, ws *pyro.Workspace) (*plain.Recipe, error) {
	if _, err := ws.Stop(ctx, api.StopRequest{}); err != nil {
		return nil, err
	}
	started, err := b.client.Start(ctx, ws.ID(), api.StartRequest{})
	if err != nil {
		return nil, err
	}
	model, err := b.model(ws.ID())
	if err != nil {
		return nil, err
	}
	recipe, err := plain.Learn(model, b.program("pyro-runsc"), "")
	if err != nil {
		return nil, err
	}
	_, err = started.Stop(ctx, api.StopRequest{Discard: true})
	return recipe, err
}

// imageOf is the directory of what start would bring back.
func (b *bench) imageOf(id string) (string, error) {
	record, err := workspace.Read(b.store, id)
	if err != nil {
		return "", err
	}
	if record.Disk == nil {
		return "", fmt.Errorf("workspace %s has no saved disk", id)
	}
	return record.Disk.Dir(b.store.Path(id)), nil
}
