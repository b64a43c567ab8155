package mcpserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// maxExecutions is how many commands may run after their call was answered with a handle.
// Those that have ended are kept beside them while there is room.
const maxExecutions = 64

// keepExecution is how long a command's end is kept for whoever asks. Its output is in the
// workspace's log in any case.
const keepExecution = 30 * time.Minute

// execution is a command that a call started. It may outlive the call.
type execution struct {
	id        string
	workspace *api.Workspace // as it was then
	command   string
	stdout    excerpt
	stderr    excerpt
	started   time.Time
	cancel    context.CancelFunc
	done      chan struct{} // closed when the two that follow are set
	result    *api.WorkspaceExec
	err       error
}

// executions are the commands that a server has started.
type executions struct {
	over chan struct{} // closed by cancelAll

	mu   sync.Mutex
	live map[*execution]bool   // those that run
	byID map[string]*execution // those that were handed out
}

func newExecutions() *executions {
	return &executions{over: make(chan struct{}), live: make(map[*execution]bool), byID: make(map[string]*execution)}
}

// cancelAll ends all commands that still run, with their process groups. It is called
// once, when nobody starts any more.
func (all *executions) cancelAll() {
	all.mu.Lock()
	defer all.mu.Unlock()
	close(all.over)
	for e := range all.live {
		e.cancel()
	}
}

// start runs a command that nobody waits for yet. It outlives ctx: its goroutine ends with
// the command, which cancelAll, or the cancel of what is returned, ends.
func (all *executions) start(ctx context.Context, workspace *api.Workspace, cmd func(context.Context) *pyro.Cmd) *execution {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := cmd(ctx)
	e := &execution{
		id: "exec-" + rand.Text()[:12], workspace: workspace, command: c.String(), started: time.Now(), cancel: cancel,
		stdout: excerpt{keep: maxAsked}, stderr: excerpt{keep: maxAsked}, done: make(chan struct{}),
	}
	c.Stdout, c.Stderr = &e.stdout, &e.stderr
	if !all.mark(e, true) {
		cancel() // the server has ended meanwhile
	}
	go func() {
		defer cancel()
		defer close(e.done)
		defer func() { _ = all.mark(e, false) }()
		err := c.Run()
		if e.result = c.Result(); e.result == nil {
			e.err = err
		}
	}()
	return e
}

// mark notes whether a command runs. It reports false where none may any more.
func (all *executions) mark(e *execution, runs bool) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	if runs {
		all.live[e] = true
	} else {
		delete(all.live, e)
	}
	select {
	case <-all.over:
		return false
	default:
		return true
	}
}

// keep makes an execution known by its id.
func (all *executions) keep(e *execution) error {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.byID[e.id] != nil {
		return nil
	}
	if len(all.byID) >= maxExecutions && !all.makeRoom() {
		return &api.Error{
			Kind: api.Conflict, Hint: "call workspace_exec_wait for those that were begun",
			Err: fmt.Errorf("%d commands run on already, allowed are %d", len(all.byID), maxExecutions),
		}
	}
	all.byID[e.id] = e
	go func() { // ends when the command has ended and was kept for long enough, or all end
		select {
		case <-e.done:
		case <-all.over:
			return
		}
		timer := time.NewTimer(keepExecution)
		defer timer.Stop()
		select {
		case <-timer.C:
			all.forget(e)
		case <-all.over:
		}
	}()
	return nil
}

// makeRoom forgets the oldest command that has ended, if there is one. The caller holds mu.
func (all *executions) makeRoom() bool {
	var oldest *execution
	for _, e := range all.byID {
		select {
		case <-e.done:
			if oldest == nil || e.started.Before(oldest.started) {
				oldest = e
			}
		default:
		}
	}
	if oldest == nil {
		return false
	}
	delete(all.byID, oldest.id)
	return true
}

func (all *executions) forget(e *execution) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.byID, e.id)
}

// find returns an execution of a workspace.
func (all *executions) find(workspace, id string) (*execution, error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if e := all.byID[id]; e != nil && e.workspace.WorkspaceID == workspace {
		return e, nil
	}
	return nil, &api.Error{
		Kind: api.NotFound, ID: clip(workspace), Hint: "`pyro workspace logs` shows what ran",
		Err: fmt.Errorf("no command with the exec_id %q", clip(id)),
	}
}

// wait waits for the end, for so long; it reports whether that has come. The error is
// ctx's.
func (e *execution) wait(ctx context.Context, patience time.Duration, tick func()) (ended bool, err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	pulse := time.NewTicker(progressInterval)
	defer pulse.Stop()
	for {
		select {
		case <-e.done:
			return true, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-timer.C:
			return false, nil
		case <-pulse.C:
			tick()
		}
	}
}

// progressInterval is how often a client that wants to know is told that a command runs.
const progressInterval = 2 * time.Second
