// Package gvisor runs sandboxes on gVisor through the helper pyro-runsc, attached,
// as a child of the caller.
//
// Every sandbox lives in user, mount, network, IPC and UTS namespaces of its own,
// also where the caller is root: root maps the guest's 0 to an unused high uid,
// others map it to themselves. The helper is executed through a descriptor, so that
// it need not be reachable for the sandbox's uid; it assembles the root file system
// in the new mount namespace and becomes runsc in the same process.
//
// The package imports no gVisor; that lives in the nested module gvisor/. It does
// not know images, records or commands.
package gvisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// bootDeadline bounds the time from fork to the agent's hello. A boot takes well
// under a tenth of a second; a machine with twenty of them at once takes two.
const bootDeadline = 30 * time.Second

// Engine is the gVisor engine. The zero value is not usable; see New.
type Engine struct {
	helper *helper // pyro-runsc
	agents string  // where copies of the agent are kept, see shareAgent
	limits limiter
}

var _ engine.Engine = (*Engine)(nil)

// New returns an engine that uses the given pyro-runsc. Copies of the agent are kept
// below agents, a directory that every sandbox can reach.
func New(helper, agents string) *Engine {
	return &Engine{helper: newHelper(helper), agents: agents, limits: systemLimiter()}
}

// Info implements engine.Engine.
func (e *Engine) Info() engine.Info {
	return engine.Info{Name: "gvisor", Isolation: "sentry", Mode: api.ModeGuestVsock}
}

// Limits names what holds sandboxes to their memory, processors and processes on this
// machine, or returns "" where nothing does.
func (e *Engine) Limits() string { return e.limits.How() }

// Start implements engine.Engine.
func (e *Engine) Start(ctx context.Context, spec engine.Spec, ledger engine.Ledger) (engine.Sandbox, error) {
	l := layoutOf(spec)
	if err := errors.Join(context.Cause(ctx), check(spec, l)); err != nil {
		return nil, err
	}
	disk, err := openImage(spec)
	if err != nil {
		return nil, err
	}
	defer disk.close()
	agent, err := shareAgent(spec.Agent, e.agents)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	if err := prepare(spec, l, ledger); err != nil {
		return nil, err
	}
	group, err := e.limits.Make(spec, ledger)
	if err != nil {
		return nil, fmt.Errorf("limits: %w", err)
	}
	if err := writeConfig(spec, l, agent, group.path); err != nil {
		return nil, err
	}
	s := newSandbox(spec, e.helper, group)
	if err := s.boot(ctx, arguments(spec, l, group.path != ""), disk); err != nil {
		return nil, explain(err)
	}
	if err := group.settle(); err != nil {
		return nil, errors.Join(fmt.Errorf("limits: %w", err), s.Stop(ctx))
	}
	return s, nil
}

// check refuses what could only fail later and with a worse message.
func check(spec engine.Spec, l layout) error {
	if spec.Environment != engine.EnvironmentHost {
		return &api.Error{
			Kind: api.NotFound, Hint: "use the environment host, this machine's own programs",
			Err: fmt.Errorf("no environment %q", spec.Environment),
		}
	}
	// runsc takes both apart in the value of a flag.
	if path := l.dir; !filepath.IsAbs(path) || strings.ContainsAny(path, ",:") {
		return &api.Error{
			Kind: api.Invalid, Hint: "choose another state or sandbox directory",
			Err: fmt.Errorf("sandbox directory %q is not absolute, or holds a comma or colon", path),
		}
	}
	if path := l.socket(spec.ID); len(path) > maxSocketPath {
		return &api.Error{
			Kind: api.Invalid, Hint: "set PYRO_RUN_DIR to a shorter directory",
			Err: fmt.Errorf("socket path %s has %d bytes, allowed are %d", path, len(path), maxSocketPath),
		}
	}
	return nil
}

// prepare makes the directories that runsc opens by path, as the sandbox's own.
func prepare(spec engine.Spec, l layout, ledger engine.Ledger) error {
	for _, dir := range []string{l.dir, l.state} {
		if err := ledger.Acquire(store.Resource{Kind: store.KindDir, Path: dir}); err != nil {
			return err
		}
	}
	for _, dir := range []string{l.dir, l.bundle(), l.upper(), l.root(), l.state} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := os.Lchown(dir, spec.UID, spec.UID); err != nil && os.Geteuid() == 0 {
			return err
		}
	}
	fault.Hit("sandbox-dirs")
	return nil
}

func writeConfig(spec engine.Spec, l layout, agent, cgroup string) error {
	for name, v := range map[string]any{
		l.config(): ociSpec(spec, agent, cgroup),
		l.stage():  hostStage(l.root(), machine{}),
	} {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		// Readable for the sandbox's uid, which owns the directory; written only here.
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// explain turns what a failed boot left into an error with a next step.
func explain(err error) error {
	var failed *bootError
	if !errors.As(err, &failed) {
		return err
	}
	if failed.disk != "" {
		if why := damagedBy(failed.said); why != nil {
			return diskForm.damaged(failed.disk, why)
		}
	}
	why, hint := diagnose(failed)
	kind := api.Unsupported
	if cause := api.KindOf(failed.err); cause == api.Timeout || cause == api.Canceled {
		kind = cause
	} else if failed.killed() {
		kind = api.Unavailable // it says nothing about this machine, and is no reason to do without isolation
	}
	return &api.Error{Kind: kind, Hint: hint, Err: errors.New(why)}
}
