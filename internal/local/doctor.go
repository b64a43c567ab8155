package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/gvisor"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/version"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// platform is the only one that pyro runs sandboxes on.
const platform = "linux-x86_64"

// probeTime bounds the trial of one engine.
const probeTime = 40 * time.Second

// Doctor looks at this machine, by running a sandbox. What it finds wrong is in the
// answer; an error means that it could not look.
func Doctor(ctx context.Context) (*api.Doctor, error) {
	found := &api.Doctor{
		Platform: platform, Issues: []string{}, KVM: lookAtKVM(),
		Networking: lookAtNetworking(),
	}
	sys.Umask(publicMask)
	tried := tryGVisor(ctx)
	found.Engines = []api.DoctorEngine{tried}
	found.RuntimeOK = tried.Available
	if !tried.Available {
		found.Issues = append(found.Issues, issue("gvisor: "+*tried.Why, tried.Hint))
		return found, ctx.Err()
	}
	found.Runtime = lookAtRuntime(ctx)
	return found, ctx.Err()
}

func issue(what string, hint *string) string {
	if hint == nil {
		return what
	}
	return what + "; " + *hint
}

// tryGVisor runs a sandbox in a workspace of its own and frees everything again.
func tryGVisor(ctx context.Context) api.DoctorEngine {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	probe, err := probeGVisor(ctx)
	if err != nil {
		probe = engine.Probe{Why: err.Error(), Hint: api.HintOf(err)}
	}
	found := api.DoctorEngine{Name: "gvisor", Available: probe.Available, Weakens: append([]string{}, probe.Weakens...)}
	if !probe.Available {
		found.Why = &probe.Why
		if probe.Hint != "" {
			found.Hint = &probe.Hint
		}
	}
	return found
}

func probeGVisor(ctx context.Context) (_ engine.Probe, err error) {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails, see crypto/rand
	cfg, err := configure(hex.EncodeToString(random[:]))
	if err != nil {
		return engine.Probe{}, err
	}
	held, err := cfg.Store.CreateVolatile(cfg.ID)
	if err != nil {
		return engine.Probe{}, err
	}
	defer func() { err = errors.Join(err, held.Remove(context.WithoutCancel(ctx))) }()
	spec, err := workspace.Spec(held, cfg.Store, trial.WithDefaults(), cfg.Agent)
	if err != nil {
		return engine.Probe{}, err
	}
	return engine.Try(ctx, cfg.Engine, spec, held.Ledger()), nil
}

// trial is the smallest sandbox there is.
var trial = api.CreateRequest{Environment: engine.EnvironmentHost, MemMiB: api.MinMemMiB, DiskMiB: api.MinDiskMiB}

func lookAtKVM() api.DoctorKVM {
	const device = "/dev/kvm"
	_, err := os.Stat(device)
	return api.DoctorKVM{
		Exists:   err == nil,
		Readable: opens(device, os.O_RDONLY),
		Writable: opens(device, os.O_WRONLY),
	}
}

func opens(path string, flag int) bool {
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

// lookAtNetworking answers what scripts of the replaced product ask for. pyro needs
// none of it.
func lookAtNetworking() api.DoctorNetworking {
	forward, _ := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	_, err := os.Stat("/dev/net/tun")
	return api.DoctorNetworking{
		TunAvailable: err == nil, IPBinary: program("ip"), NftBinary: program("nft"), IptablesBinary: program("iptables"),
		IPForwardEnabled: len(forward) > 0 && forward[0] == '1',
	}
}

func program(name string) *string {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil
	}
	return &path
}

func lookAtRuntime(ctx context.Context) *api.DoctorRuntime {
	agent, _ := helper("pyro-agent") // found a moment ago
	why := "network policy off is the only one in this version"
	r := &api.DoctorRuntime{
		BundleVersion: version.String(), CatalogVersion: version.String(),
		ComponentVersions: map[string]string{"pyro": version.String()},
		Capabilities:      api.DoctorCapabilities{SupportsVMBoot: true, SupportsGuestExec: true, Reason: &why},
		GuestAgentPath:    &agent, ArtifactsPresent: true,
	}
	if runsc, err := helper("pyro-runsc"); err == nil {
		r.BundleRoot = filepath.Dir(runsc)
		if v, err := gvisor.New(runsc, "").Version(ctx); err == nil {
			r.ComponentVersions["gvisor"] = v
		}
	}
	if st, err := openStore(); err == nil {
		r.CacheDir = st.Dirs().Cache
	}
	return r
}
