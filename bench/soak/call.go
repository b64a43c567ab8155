package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// request is one call of pyro.
type request struct {
	op    string // what the trace calls it
	id    string // the workspace; "" where there is none yet
	args  []string
	stdin string
	own   time.Duration // what it may take by itself: the timeout of a command
}

// answer is what came of it.
type answer struct {
	request

	code     int // -1: a signal ended it
	out, err string
	took     time.Duration
	struck   bool // a signal was sent to the command line itself
}

// String is a line of the trace.
func (a answer) String() string {
	words := strings.Join(a.args, " ")
	return "pyro " + clip(words, 160)
}

// calls are the command lines that run. All of them are children of the soak, which
// also adopts orphans; the two must not be mixed up.
type calls struct {
	mu      sync.Mutex
	running map[int]*inFlight // by process id
}

type inFlight struct {
	request

	process *os.Process
	struck  bool
}

// giveUp is how long after its time a call is ended that does not end.
const giveUp = 60 * time.Second

// call runs pyro and waits for it. A call that hangs is killed after giveUp.
func (c *calls) call(ctx context.Context, g *ground, r request, patience time.Duration) answer {
	bounded, cancel := context.WithTimeout(ctx, patience+r.own+giveUp)
	defer cancel()
	cmd := exec.CommandContext(bounded, g.pyro, r.args...)
	cmd.Env = g.env
	cmd.WaitDelay = time.Second // what it started has its stderr, and may outlive it
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if r.stdin != "" {
		cmd.Stdin = strings.NewReader(r.stdin)
	}
	began := time.Now()
	flight, err := c.start(cmd, r)
	if err != nil {
		return answer{request: r, code: -1, err: err.Error()}
	}
	err = cmd.Wait()
	a := answer{request: r, code: cmd.ProcessState.ExitCode(), took: time.Since(began), struck: c.finish(flight)}
	a.out, a.err = stdout.String(), stderr.String()
	if errors.Is(err, exec.ErrWaitDelay) {
		a.err += "\n(its output stayed open after its end)"
	}
	return a
}

func (c *calls) start(cmd *exec.Cmd, r request) (*inFlight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	flight := &inFlight{request: r, process: cmd.Process}
	c.running[cmd.Process.Pid] = flight
	return flight, nil
}

func (c *calls) finish(f *inFlight) (struck bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, f.process.Pid)
	return f.struck
}

// pick returns one of those that run, nil if there is none. It is not struck yet.
func (c *calls) pick(choose func(n int) int) *inFlight {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*inFlight
	for _, f := range c.running {
		if f.op != "quiet" {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[choose(len(all))]
}

// strike sends a signal to a command line, unless it has ended.
func (c *calls) strike(f *inFlight, s os.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[f.process.Pid] == f {
		f.struck = true
		_ = f.process.Signal(s)
	}
}

// strikeAll marks everything that runs as struck, for a blow that meets all at once.
func (c *calls) strikeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.running {
		f.struck = f.struck || f.op != "quiet"
	}
}

// reap takes the status of orphans that have ended, as process 1 would, and returns
// how many there were.
func (c *calls) reap(self sys.Process) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, child := range sys.ChildrenOf(self.PID) {
		if c.running[child.PID] == nil && !child.Alive() {
			child.Reap()
			n++
		}
	}
	return n
}

// clip cuts a text for people.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
