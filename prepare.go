package pyro

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/version"
	"github.com/pyro-sandbox/pyro/internal/warm"
)

// PrepareOptions say how to prepare. The zero value does it if there is a reason to.
type PrepareOptions struct {
	Force           bool // also where nothing has changed since the last time
	Network         bool // with a network: api.Unsupported, as there is none yet
	AllowHostCompat bool // as in CreateOptions

	// Step is told what begins: create, exec, reset, delete; nil: nobody asks.
	Step func(name string)
}

const opPrepare = "prepare"

// Prepare tries an environment out: it makes a workspace, runs a command in it, resets
// and deletes it, so that what is unpacked, read or refused for the first time is that now
// and not in the first real workspace. What came of it is remembered in the cache; a
// second call does nothing until pyro, the kernel or the programs in /usr have changed. A
// step that fails is the error, and nothing is left of the workspace.
func (c *Client) Prepare(ctx context.Context, environment string, opts *PrepareOptions) (*api.Prepare, error) {
	if opts == nil {
		opts = &PrepareOptions{}
	}
	if c.remote != nil {
		return askRemote[api.Prepare](ctx, c.remote, question{op: opPrepare, method: http.MethodPost, path: "/v1/prepare"}, api.PrepareRequest{
			Environment: environment, Force: opts.Force, Network: opts.Network, AllowHostCompat: opts.AllowHostCompat,
		})
	}
	if opts.Network {
		return nil, &api.Error{
			Kind: api.Unsupported, Op: opPrepare, Hint: "leave the network off; seeds and pushes bring files in",
			Err: errors.New("workspaces have no network yet"),
		}
	}
	binary, err := c.findBinary()
	if err != nil {
		return nil, err
	}
	now := warm.Find(version.String(), binary, c.env.get("PYRO_LIBDIR"))
	cache := c.dirs.Cache
	before, known := warm.Look(cache, environment, now)
	if before.State == api.Warm && !opts.Force {
		done := known.Prepared
		done.State, done.StateBefore, done.Executed, done.Reason = api.Warm, api.Warm, false, nil
		return &done, nil
	}
	done, err := c.tryOut(ctx, environment, opts)
	if err != nil {
		return nil, api.About(opPrepare, environment, err)
	}
	if before.Reason == nil {
		why := "it was asked for"
		before.Reason = &why
	}
	done.StateBefore, done.Reason = before.State, before.Reason
	if _, err := c.cacheDir(warm.Dir); err != nil {
		return nil, api.About(opPrepare, environment, err)
	}
	return done, api.About(opPrepare, environment, warm.Note(cache, warm.Record{Identity: now, Prepared: *done}))
}

// trial is one trying out.
type trial struct {
	result *api.Prepare
	tell   func(name string)
}

// step does one thing, tells that and how long it took.
func (t *trial) step(name string, do func() error) error {
	if t.tell != nil {
		t.tell(name)
	}
	began := time.Now()
	err := do()
	took := time.Since(began).Milliseconds()
	t.result.Steps = append(t.result.Steps, api.PrepareStep{Name: name, DurationMS: took})
	t.result.DurationMS += took
	return api.About(name, "", err)
}

func (c *Client) tryOut(ctx context.Context, environment string, opts *PrepareOptions) (*api.Prepare, error) {
	t := &trial{tell: opts.Step, result: &api.Prepare{Environment: environment, State: api.Warm, Executed: true}}
	var ws *Workspace
	err := t.step("create", func() (err error) {
		ws, err = c.Create(ctx, environment, &CreateOptions{Name: "prepare", AllowHostCompat: opts.AllowHostCompat})
		return err
	})
	if err != nil {
		return nil, err
	}
	t.result.Engine = ws.Seen().Engine
	err = t.step("exec", func() error { return works(ctx, ws) })
	if err == nil {
		err = t.step("reset", func() error {
			_, err := ws.Reset(ctx, api.ResetRequest{AllowHostCompat: opts.AllowHostCompat})
			return err
		})
	}
	deleted := t.step("delete", func() error {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		_, err := ws.Delete(cleanup)
		return err
	})
	t.result.PreparedAt = api.At(time.Now())
	return t.result, errors.Join(err, deleted)
}

// works runs a command that cannot fail.
func works(ctx context.Context, ws *Workspace) error {
	result, err := ws.Exec(ctx, api.ExecRequest{Argv: []string{"sh", "-c", "echo warm"}})
	if err == nil && (result.ExitCode != 0 || result.Stdout != "warm\n") {
		return fmt.Errorf("sh ended with %d: %.200q", result.ExitCode, result.Stdout+result.Stderr)
	}
	return err
}
