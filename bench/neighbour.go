package main

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// flood is a command that takes all it can get.
type flood struct{ name, line string }

// floods end by themselves where nobody ends them. The files are made over and over in
// one directory: as many as fit are memory, which is another limit.
var floods = []flood{
	{"fork bomb", `while :; do (sleep 1 & sleep 1 & :) & done 2>/dev/null`},
	{"64 busy processes", `for i in $(seq 64); do while :; do :; done & done; wait`},
	{"output without end", `yes`},
	{"files without end", `mkdir -p /tmp/f; cd /tmp/f; while :; do seq 1000 | xargs touch; rm -f *; done`},
}

// neighbour is the exec of a calm workspace while another one, of one virtual CPU,
// floods, against the same when that one is idle: 95th percentiles in the same run.
func neighbour(ctx context.Context, b *bench) (r result, err error) {
	r = result{N: b.n, What: "SDK: exec of true in a calm workspace, p95 while another (1 virtual CPU) floods / p95 beside the same when idle"}
	err = b.within(ctx, func(calm *pyro.Workspace) error {
		for _, f := range floods {
			measured, err := b.beside(ctx, calm, f)
			if err != nil {
				return err
			}
			r.Figures = append(r.Figures, measured...)
		}
		return nil
	})
	return r, err
}

// beside measures one flood: idle, flooding, idle.
func (b *bench) beside(ctx context.Context, calm *pyro.Workspace, f flood) (figures []figure, err error) {
	err = b.with(ctx, &pyro.CreateOptions{OneShot: true, VCPUs: 1}, func(greedy *pyro.Workspace) error {
		idle, err := b.execTimes(ctx, calm)
		if err != nil {
			return err
		}
		busy, err := b.during(ctx, greedy, f, calm)
		if err != nil {
			return err
		}
		after, err := b.execTimes(ctx, calm)
		if err != nil {
			return err
		}
		quiet, loud := p95(append(idle, after...)), p95(busy)
		figures = []figure{
			{f.name + ": idle, p95", quiet, "ms", ""},
			{f.name + ": flooding, p95", loud, "ms", ""},
			{f.name + ": ratio", loud / quiet, "", "<= 2"},
		}
		return nil
	})
	return figures, err
}

// during measures execs while another workspace floods. The flood is ended with it.
func (b *bench) during(ctx context.Context, greedy *pyro.Workspace, f flood, calm *pyro.Workspace) ([]time.Duration, error) {
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	cmd := greedy.ShellCommand(flooding, "echo; "+f.line)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it has begun
		return nil, err
	}
	drained := make(chan struct{})
	go func() { // ends with the flood
		defer close(drained)
		_, _ = io.Copy(io.Discard, out)
	}()
	times, err := b.execTimes(ctx, calm)
	stop()
	<-drained
	_ = cmd.Wait() // it was cancelled
	return times, err
}

// execTimes are those of n times true; one before that does not count.
func (b *bench) execTimes(ctx context.Context, ws *pyro.Workspace) ([]time.Duration, error) {
	times, err := inTurns(ctx, b.n, func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		done, err := ws.Exec(ctx, api.ExecRequest{Argv: []string{"true"}})
		if err == nil && done.ExitCode != 0 {
			err = errNotZero
		}
		return time.Since(began), err
	})
	if err != nil {
		return nil, err
	}
	return times[0], nil
}

func p95(times []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(times))
	return ms(sorted[len(sorted)*95/100])
}
