package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// listed is how many workspaces are listed.
const listed = 1000

// list shows many workspaces, against none.
func list(ctx context.Context, b *bench) (result, error) {
	many, env, err := b.elsewhere("list")
	if err != nil {
		return result{}, err
	}
	for i := range listed {
		if err := addStopped(many, i); err != nil {
			return result{}, err
		}
	}
	_, none, err := b.elsewhere("none")
	if err != nil {
		return result{}, err
	}
	pyro := b.program("pyro")
	sides, err := inTurns(ctx, b.n, wallIn(env, pyro, "workspace", "list"), wallIn(none, pyro, "workspace", "list"))
	if err != nil {
		return result{}, err
	}
	r := compared(sides[0], sides[1])
	r.What = fmt.Sprintf("process: pyro workspace list of %d stopped workspaces", listed)
	r.Command = "the same of none"
	r.Figures = figures("pyro workspace list", sides[0], "<= 150")
	return r, nil
}

// elsewhere is a store of its own in the scratch directory, in which nothing runs, and
// the environment that leads there.
func (b *bench) elsewhere(name string) (*store.Store, []string, error) {
	env := b.env[:len(b.env):len(b.env)]
	places := make(map[string]string)
	for _, key := range []string{"PYRO_STATE_DIR", "PYRO_RUN_DIR", "PYRO_CACHE_DIR", "PYRO_SANDBOX_DIR"} {
		places[key] = filepath.Join(b.dir, name, strings.ToLower(key))
		env = append(env, key+"="+places[key])
	}
	st, err := openStore(places)
	return st, env, err
}

// addStopped writes the record of a workspace in which one command has run.
func addStopped(st *store.Store, i int) (err error) {
	now, id := time.Now(), fmt.Sprintf("%012x", i)
	held, err := st.Create(id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Unlock()) }()
	request := api.CreateRequest{
		Environment: "host", Name: fmt.Sprintf("job %d", i), Labels: map[string]string{"team": "tools"},
		TTLSeconds: api.MaxTTLSeconds,
	}.WithDefaults(api.DefaultPolicy)
	launch := workspace.Launch{Kind: workspace.KindWorkspace, Request: request}
	r := workspace.NewRecord(id, launch, engine.Info{Name: "gvisor", Isolation: "sentry", Mode: api.ModeGuestVsock}, now)
	r.Ran(api.LastCommand{Sequence: r.Began(now), Command: "make test", Cwd: api.WorkspacePath, ExecutionMode: api.ModeGuestVsock}, now)
	r.State, r.Reason = api.StateStopped, workspace.ReasonStopped
	return workspace.Write(held, r)
}
