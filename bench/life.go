package main

import (
	"context"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

const notInBaseline = "; directories, limits and spec of the baseline are made and removed outside its time"

// sdkLife is create, first command, delete, against the bare boot and end of a sandbox.
func sdkLife(ctx context.Context, b *bench) (result, error) {
	if err := b.learn(ctx); err != nil {
		return result{}, err
	}
	var creates, execs, deletes []time.Duration
	life := func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		ws, err := b.client.Create(ctx, "host", &pyro.CreateOptions{OneShot: true})
		if err != nil {
			return 0, err
		}
		created := time.Now()
		_, execErr := ws.Exec(ctx, api.ExecRequest{Argv: []string{"true"}})
		executed := time.Now()
		if _, err := ws.Delete(context.WithoutCancel(ctx)); err != nil {
			return 0, err
		}
		ended := time.Now()
		creates, execs = append(creates, created.Sub(began)), append(execs, executed.Sub(created))
		deletes = append(deletes, ended.Sub(executed))
		return ended.Sub(began), execErr
	}
	sides, err := inTurns(ctx, b.n, life, b.plain)
	if err != nil {
		return result{}, err
	}
	r := compared(sides[0], sides[1])
	r.What = "SDK: create (one-shot), exec of true, delete" + notInBaseline
	r.Command, r.Target = b.recipe.Command(), "<= 1.5"
	r.Figures = append(figures("of the product: create", creates[1:], ""), figures("of the product: first exec", execs[1:], "")...)
	r.Figures = append(r.Figures, figures("of the product: delete", deletes[1:], "")...)
	return r, nil
}

// runTrue is the same by the command line.
func runTrue(ctx context.Context, b *bench) (result, error) {
	if err := b.learn(ctx); err != nil {
		return result{}, err
	}
	sides, err := inTurns(ctx, b.n, b.wall(b.program("pyro"), "run", "host", "--", "true"), b.plain)
	if err != nil {
		return result{}, err
	}
	r := compared(sides[0], sides[1])
	r.What = "process: pyro run host -- true" + notInBaseline
	r.Command, r.Target = b.recipe.Command(), "<= 1.6"
	return r, nil
}

// versionTime is what the command line costs before it does anything.
func versionTime(ctx context.Context, b *bench) (result, error) {
	sides, err := inTurns(ctx, b.n, b.wall(b.program("pyro"), "--version"), b.wall("/bin/true"))
	if err != nil {
		return result{}, err
	}
	r := compared(sides[0], sides[1])
	r.What, r.Command = "process: pyro --version", "/bin/true"
	r.Figures = figures("pyro --version", sides[0], "<= 15")[:1]
	return r, nil
}
