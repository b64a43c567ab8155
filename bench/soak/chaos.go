package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/pyro-sandbox/pyro/internal/leaks"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// chaos strikes at what runs.
type chaos struct {
	*soak

	rand *rand.Rand
}

type blow func(*chaos, context.Context)

var blows = []choice[blow]{
	{killPart("command line"), 6},
	{endCommandLine, 3},
	{killPart("supervisor"), 4},
	{killPart("pyro-runsc"), 3},
	{killPart("Sentry"), 4},
	{killPart("gofer"), 3},
	{killAll, 1},
	{freeze("supervisor"), 2},
	{freeze("Sentry"), 2},
	{freeze("gofer"), 1},
}

// rage strikes until ctx ends.
func (c *chaos) rage(ctx context.Context) {
	for rest(ctx, pause(c.rand, c.blows)) {
		c.gate.RLock()
		pick(c.rand, blows)(c, ctx)
		c.gate.RUnlock()
	}
}

// killPart kills one process of a kind.
func killPart(kind string) blow {
	return func(c *chaos, _ context.Context) {
		if kind == "command line" {
			c.strikeCommandLine(os.Kill, "kill -9")
			return
		}
		v, ok := c.victim(kind)
		if !ok {
			return
		}
		c.marks.hit(v.id, 0)
		c.note("kill -9 of %s %d of %s", kind, v.process.PID, v.id)
		c.stats.struck("kill " + kind)
		_ = v.process.Kill()
	}
}

func endCommandLine(c *chaos, _ context.Context) {
	if c.rand.IntN(2) == 0 {
		c.strikeCommandLine(sys.SIGINT, "SIGINT")
	} else {
		c.strikeCommandLine(sys.SIGTERM, "SIGTERM")
	}
}

func (c *chaos) strikeCommandLine(s os.Signal, name string) {
	f := c.calls.pick(c.rand.IntN)
	if f == nil {
		return
	}
	c.marks.hit(f.id, 0)
	c.note("%s of command line %d: %s", name, f.process.Pid, strings.Join(f.args, " "))
	c.stats.struck(name + " command line")
	c.calls.strike(f, s)
}

// killAll kills everything at once, as a machine does that runs out of memory.
func killAll(c *chaos, _ context.Context) {
	c.marks.hitAll()
	all := c.field.Processes("")
	c.calls.strikeAll() // after the look, so that all that were seen are marked
	c.note("kill -9 of all %d processes", len(all))
	c.stats.struck("kill everything")
	for _, p := range all {
		if v, err := identify(p.PID); err == nil {
			_ = v.Kill()
		}
	}
}

// freeze stops a process for a while.
func freeze(kind string) blow {
	return func(c *chaos, _ context.Context) {
		v, ok := c.victim(kind)
		if !ok {
			return
		}
		p, err := os.FindProcess(v.process.PID)
		if err != nil {
			return
		}
		d := between(c.rand, 200*time.Millisecond, 6*time.Second)
		c.marks.hit(v.id, d)
		c.note("SIGSTOP of %s %d of %s for %v", kind, v.process.PID, v.id, d.Round(time.Millisecond))
		c.stats.struck("stop " + kind)
		_ = p.Signal(syscall.SIGSTOP)
		c.thawing.Go(func() { // it ends by itself
			<-time.After(d)
			c.marks.hit(v.id, 0)
			c.note("SIGCONT of %s %d of %s", kind, v.process.PID, v.id)
			_ = p.Signal(syscall.SIGCONT)
		})
	}
}

// removeFrozen deletes a workspace one of whose processes is stopped for good.
func (w *worker) removeFrozen(ctx context.Context, h *held) {
	kind := pick(w.rand, []choice[string]{{"supervisor", 1}, {"Sentry", 1}})
	for _, s := range w.field.Processes(" supervise " + h.id) {
		for _, part := range partsOf(s.PID)[kind] {
			p, err := os.FindProcess(part.PID)
			if err != nil {
				continue
			}
			w.marks.hit(h.id, 0)
			w.note("SIGSTOP of %s %d of %s, and delete", kind, part.PID, h.id)
			w.stats.struck("stop " + kind + ", delete")
			_ = p.Signal(syscall.SIGSTOP)
			defer func() { _ = p.Signal(syscall.SIGCONT) }() // if it has survived
		}
	}
	w.remove(ctx, h)
}

// victim is a process of a workspace that runs.
type victim struct {
	id      string
	process sys.Process
}

// victim chooses one of a kind.
func (c *chaos) victim(kind string) (victim, bool) {
	var found []victim
	for _, s := range c.field.Processes(" supervise ") {
		id := supervised(s)
		for _, p := range partsOf(s.PID)[kind] {
			found = append(found, victim{id, p})
		}
	}
	if len(found) == 0 {
		return victim{}, false
	}
	return found[c.rand.IntN(len(found))], true
}

// supervised is the workspace of a supervisor.
func supervised(p leaks.Process) string {
	_, id, _ := strings.Cut(strings.TrimSpace(p.Line), " supervise ")
	return id
}

// partsOf are the processes of a workspace, by what they are.
func partsOf(supervisor int) map[string][]sys.Process {
	parts := make(map[string][]sys.Process)
	if p, err := identify(supervisor); err == nil {
		parts["supervisor"] = []sys.Process{p}
	}
	for _, runsc := range sys.ChildrenOf(supervisor) {
		parts["pyro-runsc"] = append(parts["pyro-runsc"], runsc)
		for _, p := range sys.ChildrenOf(runsc.PID) {
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
			switch {
			case strings.HasPrefix(string(line), "runsc-gofer"):
				parts["gofer"] = append(parts["gofer"], p)
			case strings.HasPrefix(string(line), "runsc-sandbox"):
				parts["Sentry"] = append(parts["Sentry"], p)
			}
		}
	}
	return parts
}

func identify(pid int) (sys.Process, error) {
	start, err := sys.ProcessStart(pid)
	return sys.Process{PID: pid, Start: start}, err
}
