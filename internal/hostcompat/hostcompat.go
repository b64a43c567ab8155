// Package hostcompat runs commands on this machine itself, as the caller, without any
// isolation. They see and can change whatever the caller can: files, processes, the
// network. Where the caller is root they are root.
//
// It is for machines on which no engine that isolates works. The package asks for no
// consent and chooses nothing: whoever starts a sandbox of it has made sure that the
// user agreed to this very call.
//
// The agent that answers is the same as in a sandbox, with a directory of its own in
// the place of /workspace. /workspace itself is not there: the requests' paths lead to
// the directory, what commands spell out does not.
//
// When a sandbox ends, the agent ends all that came from it, also what left its
// session; the same when the caller is killed. If the agent is killed, the kernel
// kills the commands, and the caller the processes they had started, as far as these
// still carry the variable PYRO_EXEC_ID in their environment. Out of reach are jobs
// handed to somebody else (at, cron, systemd-run, docker), for a caller without root
// what has become another user (sudo), and, only where the agent was killed, what has
// dropped its environment; where agent and caller are killed at the same moment, all
// but the commands themselves.
package hostcompat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Engine is the engine without isolation.
type Engine struct{}

var (
	_ engine.Engine     = (*Engine)(nil)
	_ engine.DiskKeeper = (*Engine)(nil)
)

// New returns the engine.
func New() *Engine { return new(Engine) }

// Info implements engine.Engine.
func (*Engine) Info() engine.Info {
	return engine.Info{Name: api.EngineHostCompat, Isolation: "none", Mode: api.ModeHostCompat}
}

// Start implements engine.Engine. The sizes and the user of the Spec are not looked
// at: commands run as the caller, and nothing limits them. The calling process becomes
// a subreaper (PR_SET_CHILD_SUBREAPER(2const)), so that it can end what a killed
// agent leaves behind.
func (*Engine) Start(ctx context.Context, spec engine.Spec, ledger engine.Ledger) (engine.Sandbox, error) {
	if err := errors.Join(context.Cause(ctx), check(spec)); err != nil {
		return nil, err
	}
	l := layout{spec.Dir}
	if err := prepare(l, ledger); err != nil {
		return nil, err
	}
	if spec.Disk != "" {
		if err := unpack(ctx, spec.Disk, l.workspace()); err != nil {
			return nil, fmt.Errorf("saved disk %s: %w", spec.Disk, err)
		}
	}
	if err := sys.SetSubreaper(); err != nil {
		return nil, fmt.Errorf("adopt orphans: %w", err)
	}
	s := &sandbox{layout: l, saving: make(chan struct{}, 1), done: make(chan struct{})}
	if err := s.boot(ctx, spec.Agent, ledger); err != nil {
		return nil, err
	}
	return s, nil
}

func check(spec engine.Spec) error {
	if spec.Environment != engine.EnvironmentHost {
		return &api.Error{
			Kind: api.NotFound, Hint: "use the environment host, this machine's own programs; others need an engine that isolates",
			Err: fmt.Errorf("no environment %q without isolation", spec.Environment),
		}
	}
	return nil
}

// layout names the places of one sandbox.
type layout struct{ dir string }

func (l layout) workspace() string { return filepath.Join(l.dir, "workspace") }
func (l layout) runDir() string    { return filepath.Join(l.dir, "run") }

// prepare makes the directories, the caller's own.
func prepare(l layout, ledger engine.Ledger) error {
	if err := ledger.Acquire(store.Resource{Kind: store.KindDir, Path: l.dir}); err != nil {
		return err
	}
	for _, dir := range []string{l.dir, l.workspace(), l.runDir()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// limits are the same for every sandbox.
func limits() api.Limits {
	why := "host-compat runs commands on this machine itself: nothing limits them"
	return api.Limits{Why: &why}
}

// Refuse returns an Unsupported error that names the first thing explicitly asked for
// which there cannot be without isolation: a size, a secret, or a network of its own.
func (*Engine) Refuse(req api.CreateRequest) error {
	const hint = "leave it out, or use an engine that isolates"
	for _, f := range []struct {
		name  string
		value int
	}{{"vcpu_count", req.VCPUCount}, {"mem_mib", req.MemMiB}, {"disk_mib", req.DiskMiB}} {
		if f.value != 0 {
			return refused(hint, "%s is %d, but host-compat limits nothing", f.name, f.value)
		}
	}
	if len(req.Secrets) > 0 {
		return refused(hint, "secrets are given, but host-compat cannot keep them from the rest of this machine")
	}
	if p := req.NetworkPolicy; p != "" && p != api.NetworkOff {
		return refused(hint, "network_policy is %q, but host-compat has no network of its own", p)
	}
	return nil
}

func refused(hint, format string, args ...any) error {
	return &api.Error{Kind: api.Unsupported, Hint: hint, Err: fmt.Errorf(format, args...)}
}
