package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// sizes are bytes on disk, and memory that a running workspace costs.
func sizes(ctx context.Context, b *bench) (r result, err error) {
	r = result{N: 1, What: "files, and PSS (smaps_rollup) of a workspace in which one command has run"}
	for _, name := range []string{"pyro", "pyro-agent", "pyro-runsc", "pyro-gateway"} {
		info, err := os.Stat(b.program(name))
		if err != nil {
			return r, err
		}
		f := figure{Name: name, Value: float64(info.Size()) / 1e6, Unit: "MB"}
		if name == "pyro-agent" {
			f.Target = "<= 8"
		}
		r.Figures = append(r.Figures, f)
	}
	err = b.within(ctx, func(ws *pyro.Workspace) error {
		if _, err := ws.Exec(ctx, api.ExecRequest{Argv: []string{"true"}}); err != nil {
			return err
		}
		p, err := b.processesOf(ws.ID())
		if err != nil {
			return err
		}
		memory, err := memoryOf(p)
		r.Figures = append(r.Figures, memory...)
		return err
	})
	return r, err
}

// memoryOf is what each process of a workspace costs.
func memoryOf(p processes) ([]figure, error) {
	list := []figure{{Name: "PSS of supervisor and pyro-runsc", Unit: "MB", Target: "<= 20"}}
	for _, part := range []struct {
		name string
		pid  int
	}{
		{"supervisor", p.supervisor}, {"pyro-runsc", p.runsc}, {"Sentry, beside them", p.sentry}, {"gofer, beside them", p.gofer},
	} {
		size, err := pss(part.pid)
		if err != nil {
			return nil, err
		}
		list = append(list, figure{"PSS of " + part.name, size, "MB", ""})
	}
	list[0].Value = list[1].Value + list[2].Value
	return list, nil
}

// pss is the proportional set size in MB, see proc_pid_smaps(5): pages that n
// processes share count 1/n.
func pss(pid int) (float64, error) {
	kib, err := field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
	return kib * 1024 / 1e6, err
}

// field returns the number behind a word in a file of /proc.
func field(name, key string) (float64, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	return fieldIn(string(text), key)
}

func fieldIn(text, key string) (float64, error) {
	words := strings.Fields(text)
	for i, word := range words[:max(len(words)-1, 0)] {
		if word == key {
			return strconv.ParseFloat(words[i+1], 64)
		}
	}
	return 0, fmt.Errorf("no %s in %.200q", key, text)
}

// How many commands have run when growth looks.
const (
	fewExecs  = 10
	manyExecs = 1000
)

// growth shows what a workspace keeps of the commands that have run in it. How many
// goroutines there are cannot be seen from outside.
func growth(ctx context.Context, b *bench) (result, error) {
	r := result{N: 1, What: fmt.Sprintf("after %d and after %d execs of true; the agent seen by the guest's /proc", fewExecs, manyExecs)}
	err := b.within(ctx, func(ws *pyro.Workspace) error {
		for done := range manyExecs {
			if done == fewExecs {
				if err := b.look(ctx, ws, fewExecs, &r); err != nil {
					return err
				}
			}
			if _, err := ws.Exec(ctx, api.ExecRequest{Argv: []string{"true"}}); err != nil {
				return err
			}
		}
		return b.look(ctx, ws, manyExecs, &r)
	})
	return r, err
}

// look adds what the processes of a workspace hold now.
func (b *bench) look(ctx context.Context, ws *pyro.Workspace, execs int, r *result) error {
	add := func(what string, value float64, unit string) {
		r.Figures = append(r.Figures, figure{Name: fmt.Sprintf("%s after %d", what, execs), Value: value, Unit: unit})
	}
	p, err := b.processesOf(ws.ID())
	if err != nil {
		return err
	}
	if err := lookAt(p.supervisor, "supervisor", add); err != nil {
		return err
	}
	if err := lookAt(p.sentry, "Sentry", add); err != nil {
		return err
	}
	inside, err := ws.Exec(ctx, api.ExecRequest{Command: "cat /proc/1/status; echo descriptors $(ls /proc/1/fd | wc -l)"})
	if err != nil {
		return err
	}
	for _, f := range []struct{ name, key, unit string }{
		{"agent: RSS", "VmRSS:", "kB"}, {"agent: descriptors", "descriptors", ""}, {"agent: threads", "Threads:", ""},
	} {
		value, err := fieldIn(inside.Stdout, f.key)
		if err != nil {
			return err
		}
		add(f.name, value, f.unit)
	}
	return nil
}

// lookAt adds what one process of the host holds.
func lookAt(pid int, name string, add func(what string, value float64, unit string)) error {
	size, err := pss(pid)
	if err != nil {
		return err
	}
	threads, err := field(fmt.Sprintf("/proc/%d/status", pid), "Threads:")
	if err != nil {
		return err
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return err
	}
	add(name+": PSS", size, "MB")
	add(name+": descriptors", float64(len(open)), "")
	add(name+": threads", threads, "")
	return nil
}
