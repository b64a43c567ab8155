package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/gvisor"
	"github.com/pyro-sandbox/pyro/internal/hostcompat"
	"github.com/pyro-sandbox/pyro/internal/version"
	"github.com/pyro-sandbox/pyro/internal/warm"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// probeTime bounds the trial of one engine.
const probeTime = 40 * time.Second

// helpers are pyro's own programs, as far as they were found.
type helpers struct {
	agent, runsc  string
	agentVersion  string // what it says of itself in a sandbox
	gvisorVersion string
}

// find fails for one that is missing or is another program. What pyro has unpacked
// is read, not only looked at.
func (h *helpers) find(ctx context.Context, cache string) error {
	var err error
	if h.agent, h.runsc, err = (finder{cache: cache, verify: true}).find(ctx); err != nil {
		return err
	}
	h.gvisorVersion, err = gvisor.New(h.runsc, "").Version(ctx)
	return err
}

func (x *examination) findHelpers(ctx context.Context) {
	err := x.helpers.find(ctx, x.dirs.Cache)
	if err == nil {
		return
	}
	if api.HintOf(err) == "" {
		err = &api.Error{Kind: api.Unsupported, Hint: "run make, or install all of pyro's programs anew", Err: err}
	}
	x.note(fail("helpers", err))
}

// tryEngine runs a sandbox, and says of what it needs how that is.
func (x *examination) tryEngine(ctx context.Context) api.DoctorEngine {
	found := api.DoctorEngine{Name: "gvisor", Isolation: "sentry", Weakens: []string{}}
	if missing := x.failed("directories", "helpers"); missing != nil {
		found.Why, found.Hint = &missing.Reason, missing.NextStep
		x.note(x.machine.namespaces(), skip("gvisor", "%s has failed", missing.Name), skip("limits", "no sandbox was run"))
		return found
	}
	probe := x.probe(ctx)
	if !probe.Available {
		found.Why, found.Hint = &probe.Why, optional(probe.Hint)
		refused := &api.Error{Hint: probe.Hint, Err: errors.New(probe.Why)}
		x.note(x.helpers.compared(), x.machine.namespaces(), fail("gvisor", refused), skip("limits", "no sandbox was run"))
		return found
	}
	found.Available, found.Weakens = true, append(found.Weakens, probe.Weakens...)
	x.note(
		x.helpers.compared(), ok("namespaces", "a sandbox got its own"),
		ok("gvisor", "a sandbox was started and ended; gVisor %s", x.helpers.gvisorVersion), limits(x.limitedBy, probe.Weakens),
	)
	return found
}

// probe runs a sandbox in a workspace of its own and frees everything again.
func (x *examination) probe(ctx context.Context) engine.Probe {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	probe, err := x.trial(ctx)
	if err != nil {
		return engine.Probe{Why: err.Error(), Hint: api.HintOf(err)}
	}
	return probe
}

func (x *examination) trial(ctx context.Context) (_ engine.Probe, err error) {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails, see crypto/rand
	held, err := x.store.CreateVolatile(hex.EncodeToString(random[:]))
	if err != nil {
		return engine.Probe{}, err
	}
	defer func() { err = errors.Join(err, held.Remove(context.WithoutCancel(ctx))) }()
	spec, err := workspace.Spec(held, x.store, smallest.WithDefaults(api.DefaultPolicy), x.helpers.agent)
	if err != nil {
		return engine.Probe{}, err
	}
	sentry := gvisor.New(x.helpers.runsc, agentCopies(x.store))
	x.limitedBy = sentry.Limits()
	asked := &asking{Engine: sentry}
	defer func() { x.helpers.agentVersion = asked.version }()
	return engine.Try(ctx, asked, spec, held.Ledger()), nil
}

// smallest is the smallest sandbox there is.
var smallest = api.CreateRequest{Environment: engine.EnvironmentHost, MemMiB: api.MinMemMiB, DiskMiB: api.MinDiskMiB}

// asking is an engine that asks the agent of each sandbox for its version.
type asking struct {
	engine.Engine
	version string
}

func (a *asking) Start(ctx context.Context, spec engine.Spec, ledger engine.Ledger) (engine.Sandbox, error) {
	s, err := a.Engine.Start(ctx, spec, ledger)
	if err != nil {
		return nil, err
	}
	client := wire.Client{Dial: s.Dial}
	if hello, err := client.Hello(ctx); err == nil { // it has answered once already
		a.version = hello.Version
	}
	return s, nil
}

// compared says whether all programs are of one build. pyro-runsc is of another
// module and says which gVisor it is; that it is pyro-runsc was asked before.
func (h *helpers) compared() api.DoctorCheck {
	const name = "helpers"
	switch h.agentVersion {
	case version.String():
		return ok(name, "pyro-agent and pyro-runsc in %s, of version %s", filepath.Dir(h.runsc), h.agentVersion)
	case "":
		return ok(name, "pyro-agent and pyro-runsc in %s; the agent was not asked for its version", filepath.Dir(h.runsc))
	default:
		return warn(name, "install all of pyro's programs from one build",
			"pyro-agent is of version %.80q, pyro is %s", h.agentVersion, version.String())
	}
}

// limits says what holds sandboxes to what was asked: how names it for memory,
// processors and processes; the rest is gVisor's everywhere. A reason ends in what can
// be done, which is the next step.
func limits(how string, weakens []string) api.DoctorCheck {
	const name = "limits"
	if len(weakens) == 0 {
		return ok(name, "memory, processors and processes by %s; disk, /dev/shm and /run by gVisor", how)
	}
	why, step := weakens[0], "docs/limits.md says what is needed"
	if i := strings.LastIndex(why, "; "); i >= 0 {
		why, step = why[:i], why[i+len("; "):]
	}
	return warn(name, step, "%s; disk, /dev/shm and /run are limited by gVisor", why)
}

// hostCompat is the engine without walls. It needs nothing but the agent, and is
// listed so that nobody takes its name for a kind of sandbox.
func (h *helpers) hostCompat() api.DoctorEngine {
	info := hostcompat.New().Info()
	hint := "it is used with --allow-host-compat, which is consent for that one call; no setting gives it"
	found := api.DoctorEngine{
		Name: info.Name, Isolation: info.Isolation, Available: h.agent != "", NeedsConsent: true, Hint: &hint,
		Weakens: []string{"NO ISOLATION: commands run on this machine as you, with your files and your network"},
	}
	if !found.Available {
		why := "pyro-agent was not found"
		found.Why = &why
	}
	return found
}

// environment says whether workspaces can be made from it.
func environment(name string, runs bool) api.DoctorCheck {
	const check = "environment"
	switch {
	case name != engine.EnvironmentHost:
		return fail(check, &api.Error{Hint: "use the environment host, this machine's own programs", Err: fmt.Errorf("no environment %.80q", name)})
	case !runs:
		return skip(check, "%s is there, but no engine runs it", name)
	default:
		return ok(check, "%s is there, and a sandbox was run in it", name)
	}
}

// warmth says whether the environment was prepared here.
func (x *examination) warmth(name string) *api.EnvironmentState {
	self, err := os.Executable()
	if err != nil {
		self = "" // it is as cold as can be told
	}
	state, _ := warm.Look(x.dirs.Cache, name, warm.Find(version.String(), self, x.machine.getenv("PYRO_LIBDIR")))
	return &state
}

// runtime is what was found, in the words of the replaced product.
func (x *examination) runtime() *api.DoctorRuntime {
	why := "network policy off is the only one in this version"
	return &api.DoctorRuntime{
		BundleRoot:    filepath.Dir(x.helpers.runsc),
		BundleVersion: version.String(), CatalogVersion: version.String(),
		ComponentVersions: map[string]string{"pyro": version.String(), "gvisor": x.helpers.gvisorVersion},
		Capabilities:      api.DoctorCapabilities{SupportsVMBoot: true, SupportsGuestExec: true, Reason: &why},
		GuestAgentPath:    &x.helpers.agent, ArtifactsPresent: true, CacheDir: x.dirs.Cache,
	}
}
