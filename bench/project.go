package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// The project that is seeded: 10,000 files, 200 MB, in 100 directories.
const (
	projectDirs  = 100
	filesPerDir  = 100
	bytesPerFile = 20_000
)

// fewTurns is for rows of which one turn takes ten seconds.
const fewTurns = 3

// project makes the tree once and returns where it lies. What is in the files does not
// compress; it is the same each time.
func (b *bench) project() (string, error) {
	dir := filepath.Join(b.dir, "project")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	content, noise := make([]byte, bytesPerFile), rand.NewChaCha8([32]byte{})
	for i := range projectDirs {
		if err := os.MkdirAll(filepath.Dir(projectFile(dir, i, 0)), 0o755); err != nil {
			return "", err
		}
		for j := range filesPerDir {
			_, _ = noise.Read(content) // never fails, see math/rand/v2
			if err := os.WriteFile(projectFile(dir, i, j), content, 0o644); err != nil {
				return "", err
			}
		}
	}
	return dir, nil
}

func projectFile(dir string, i, j int) string {
	return filepath.Join(dir, fmt.Sprintf("dir%02d", i), fmt.Sprintf("file%02d", j))
}

// seed is a workspace with a project in it, against the same tree copied by tar on
// the host.
func seed(ctx context.Context, b *bench) (result, error) {
	dir, err := b.project()
	if err != nil {
		return result{}, err
	}
	var inside []time.Duration
	seeded := func(ctx context.Context) (took time.Duration, err error) {
		took, err = b.creating(ctx, func(ws *pyro.Workspace) error {
			if len(inside) > 0 {
				return nil
			}
			unpacked, err := unpackInside(ctx, ws)
			inside = append(inside, unpacked)
			return err
		}, "--seed-path", dir)
		return took, err
	}
	empty := func(ctx context.Context) (time.Duration, error) { return b.creating(ctx, nil) }
	copied := func(ctx context.Context) (time.Duration, error) { return b.copyByTar(ctx, dir) }
	sides, err := inTurns(ctx, min(b.n, fewTurns), seeded, copied, empty)
	if err != nil {
		return result{}, err
	}
	r := compared(sides[0], sides[1])
	r.What = fmt.Sprintf("process: pyro workspace create host --seed-path of %d files, %d MB", projectDirs*filesPerDir, projectDirs*filesPerDir*bytesPerFile/1_000_000)
	r.Command, r.Target = "on the host, into a new directory: "+copyLine, "<= 3"
	r.Figures = append(figures("of it the boot: create without a seed", sides[2], ""),
		figure{"the same archive by tar -xf in the guest, once", ms(inside[0]), "ms", ""})
	return r, nil
}

// creating measures `pyro workspace create host`, and uses and deletes the workspace
// afterwards.
func (b *bench) creating(ctx context.Context, use func(*pyro.Workspace) error, options ...string) (took time.Duration, err error) {
	args := append([]string{"workspace", "create", "host", "--id-only"}, options...)
	cmd := exec.CommandContext(ctx, b.program("pyro"), args...)
	cmd.Env = b.env
	began := time.Now()
	id, err := cmd.Output()
	took = time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("pyro workspace create: %w", err)
	}
	ws, err := b.client.Get(ctx, string(bytes.TrimSpace(id)))
	if err != nil {
		return 0, err
	}
	defer func() {
		_, deleteErr := ws.Delete(context.WithoutCancel(ctx))
		err = errors.Join(err, deleteErr)
	}()
	if use == nil {
		return took, nil
	}
	return took, use(ws)
}

const copyLine = "tar -cf - -C PROJECT . | tar -xf - -C NEW"

func (b *bench) copyByTar(ctx context.Context, dir string) (took time.Duration, err error) {
	fresh, err := os.MkdirTemp(b.dir, "copy-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }()
	return b.wall("/bin/sh", "-c", `tar -cf - -C "$1" . | tar -xf - -C "$2"`, "sh", dir, fresh)(ctx)
}

// unpackInside is the guest's own tar on the workspace's tree, by the agent's clock.
func unpackInside(ctx context.Context, ws *pyro.Workspace) (time.Duration, error) {
	now, err := ws.Status(ctx)
	if err != nil {
		return 0, err
	}
	dial := wire.Bridge(*now.AgentSocket)
	if _, err := ask(ctx, dial, "sh", "-c", "tar -cf /tmp/project.tar -C /workspace . && mkdir /tmp/project"); err != nil {
		return 0, err
	}
	return ask(ctx, dial, "tar", "-xf", "/tmp/project.tar", "-C", "/tmp/project")
}

// syncOne is a push after one file of the project has changed, against the whole seed.
func syncOne(ctx context.Context, b *bench) (r result, err error) {
	dir, err := b.project()
	if err != nil {
		return result{}, err
	}
	whole := func(ctx context.Context) (time.Duration, error) { return b.creating(ctx, nil, "--seed-path", dir) }
	_, err = b.creating(ctx, func(ws *pyro.Workspace) error {
		push := b.wall(b.program("pyro"), "workspace", "sync", "push", ws.ID(), dir)
		turn := 0
		changed := func(ctx context.Context) (time.Duration, error) {
			turn++
			text := fmt.Appendf(nil, "%0*d", bytesPerFile, turn)
			if err := os.WriteFile(projectFile(dir, 0, 0), text, 0o644); err != nil {
				return 0, err
			}
			return push(ctx)
		}
		sides, err := inTurns(ctx, min(b.n, fewTurns), changed, whole)
		if err != nil {
			return err
		}
		r = compared(sides[0], sides[1])
		return nil
	}, "--seed-path", dir)
	r.What = "process: pyro workspace sync push of the seeded tree, in which one file has changed"
	r.Command, r.Target = "process: pyro workspace create host --seed-path, of the same tree", "<= 0.2"
	return r, err
}
