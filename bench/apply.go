package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro"
)

// applied is how many files of the project are changed before an apply.
const applied = 1000

// apply is `workspace apply` of the changes of many files to the project, against git
// apply of the same changes as a patch. Before each turn the project is as it was.
func apply(ctx context.Context, b *bench) (r result, err error) {
	project, err := b.project()
	if err != nil {
		return r, err
	}
	copied, err := os.MkdirTemp(b.dir, "git-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(copied)) }()
	const prepare = `cd "$1" && mkdir to && cp -a "$0/." to && cd to && git init -q && git add -A && git -c user.name=b -c user.email=b@localhost commit -qm seed`
	if _, err := b.wall("/bin/sh", "-c", prepare, project, copied)(ctx); err != nil {
		return r, err
	}
	to, patch := filepath.Join(copied, "to"), filepath.Join(copied, "patch")
	_, err = b.creating(ctx, func(ws *pyro.Workspace) error {
		const edit = `n=0; for f in dir*/file*; do echo edited >>$f; n=$((n+1)); [ $n -lt %d ] || break; done`
		if err := ws.Command(ctx, "sh", "-c", fmt.Sprintf(edit, applied)).Run(); err != nil {
			return err
		}
		if _, err := b.wall("/bin/sh", "-c", `"$0" workspace diff "$1" --patch >"$2"`, b.program("pyro"), ws.ID(), patch)(ctx); err != nil {
			return err
		}
		sides, err := inTurns(
			ctx, b.n,
			b.afresh(to, b.wall(b.program("pyro"), "workspace", "apply", ws.ID(), to)),
			b.afresh(to, b.wall("git", "-C", to, "apply", patch)),
		)
		if err == nil {
			r = compared(sides[0], sides[1])
		}
		return err
	}, "--seed-path", project)
	if err != nil {
		return r, err
	}
	r.What = fmt.Sprintf("process: pyro workspace apply of %d changed files, in %d", applied, projectDirs*filesPerDir)
	r.Command = "the same changes as a patch: git apply"
	r.Target = "<= 2"
	return r, nil
}

// afresh brings a work tree of git to its commit before each turn, outside of the time.
func (b *bench) afresh(dir string, measured side) side {
	restore := b.wall("git", "-C", dir, "checkout", "-qf", ".")
	return func(ctx context.Context) (time.Duration, error) {
		if _, err := restore(ctx); err != nil {
			return 0, err
		}
		return measured(ctx)
	}
}
