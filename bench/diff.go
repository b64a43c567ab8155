package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pyro-sandbox/pyro"
)

const (
	edited    = 10  // files that are changed before a diff
	diffSlack = 150 // ms that a diff may take longer than git's
)

// diff is `workspace diff --patch` of ten edits in the project, against git diff of the
// same edits in the same project on the host.
func diff(ctx context.Context, b *bench) (r result, err error) {
	project, err := b.project()
	if err != nil {
		return r, err
	}
	copied, err := os.MkdirTemp(b.dir, "git-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(copied)) }()
	steps := []string{
		`cp -a "$0/." .`, `git init -q`, `git add -A`, `git -c user.name=b -c user.email=b@localhost commit -qm seed`, editing(),
	}
	if _, err := b.wall("/bin/sh", "-c", `cd "$1" && `+strings.Join(steps, " && "), project, copied)(ctx); err != nil {
		return r, err
	}
	_, err = b.creating(ctx, func(ws *pyro.Workspace) error {
		if err := ws.Command(ctx, "sh", "-c", editing()).Run(); err != nil {
			return err
		}
		sides, err := inTurns(
			ctx, b.n,
			b.wall(b.program("pyro"), "workspace", "diff", ws.ID(), "--patch"),
			b.wall("git", "-C", copied, "diff", "--binary"),
		)
		if err == nil {
			r = compared(sides[0], sides[1])
		}
		return err
	}, "--seed-path", project)
	if err != nil {
		return r, err
	}
	r.What = fmt.Sprintf("process: pyro workspace diff --patch of %d edits in %d files, %d MB", edited, projectDirs*filesPerDir, projectDirs*filesPerDir*bytesPerFile/1_000_000)
	r.Command = "on the host, the same edits: git diff --binary"
	r.Figures = []figure{{"p50 beyond that of git", r.Product.P50 - r.Baseline.P50, "ms", fmt.Sprintf("<= %d ms", diffSlack)}}
	return r, nil
}

// editing is a shell's words that change some files of the project, each in another
// directory.
func editing() string {
	return fmt.Sprintf("for i in $(seq 10 %d); do echo edited >>dir$i/file$i; done", 10+edited-1)
}
