package gvisor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// cgroup is where a sandbox's processes are counted. The zero value is none.
type cgroup struct {
	path   string // below every hierarchy, for the OCI configuration
	memory string // the directory with the memory limit
	cpu    string // the directory with the processor limit
	limits api.Limits
}

// limiter makes cgroups with the limits of a Spec, or says why it cannot.
type limiter interface {
	Make(spec engine.Spec, ledger engine.Ledger) (cgroup, error)
}

const cgroupRoot = "/sys/fs/cgroup"

// systemLimiter finds out what this machine offers this user.
func systemLimiter() limiter {
	if os.Geteuid() != 0 {
		return unlimited("limits of memory, processor and processes need root in this version")
	}
	for _, c := range []string{"memory", "pids", "cpu"} {
		dir := filepath.Join(cgroupRoot, c)
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err != nil {
			return unlimited(fmt.Sprintf("no cgroup v1 controller %s is mounted; cgroup v2 is not used yet", c))
		}
		if err := unix.Access(dir, unix.W_OK); err != nil { // as in many containers
			return unlimited(fmt.Sprintf("the cgroup controller %s cannot be used: %v", c, err))
		}
	}
	return limiterV1{root: cgroupRoot}
}

// unlimited is a limiter that enforces nothing and says why.
type unlimited string

func (u unlimited) Make(engine.Spec, engine.Ledger) (cgroup, error) {
	why := string(u)
	return cgroup{limits: api.Limits{Why: &why}}, nil
}

// limiterV1 uses cgroup v1. The parent and all limit files stay root's; of the
// sandbox's own group the mapped uid gets cgroup.procs alone, so that it can enter
// and change nothing. Because the groups are there before, runsc neither sets
// limits nor removes them; it reads the memory limit and shows it as MemTotal.
type limiterV1 struct{ root string }

const cgroupParent = "pyro"

// controllersV1 are all that runsc knows. It makes its group under every one that
// is mounted and fails where it may not, so all of them have to be there before.
var controllersV1 = []string{
	"blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory",
	"net_cls", "net_prio", "perf_event", "pids", "rdma", "systemd",
}

// cpuPeriodUS is the kernel's default period of the bandwidth controller.
const cpuPeriodUS = 100_000

func (l limiterV1) Make(spec engine.Spec, ledger engine.Ledger) (cgroup, error) {
	g := cgroup{path: "/" + cgroupParent + "/" + spec.ID, limits: api.Limits{Enforced: true}}
	for _, controller := range controllersV1 {
		dir := filepath.Join(l.root, controller)
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		group := filepath.Join(dir, g.path)
		if err := ledger.Acquire(store.Resource{Kind: store.KindCgroup, Path: group}); err != nil {
			return g, err
		}
		fault.Hit("cgroup-before")
		if err := l.make(controller, group, spec); err != nil {
			return g, err
		}
		fault.Hit("cgroup-after")
		switch controller {
		case "memory":
			g.memory = group
		case "cpu":
			g.cpu = group
		}
	}
	return g, nil
}

func (l limiterV1) make(controller, group string, spec engine.Spec) error {
	if err := makeGroup(group); err != nil {
		return err
	}
	if controller == "cpuset" { // starts empty, and nobody may enter an empty one
		if err := inheritCpuset(group); err != nil {
			return err
		}
	}
	for _, s := range settingsV1(controller, spec) {
		if err := os.WriteFile(filepath.Join(group, s.file), []byte(s.value), 0); err != nil {
			return err
		}
	}
	return os.Chown(filepath.Join(group, "cgroup.procs"), spec.UID, spec.UID)
}

// makeGroup tries again where a sandbox that ends at the same time removes the
// common parent between the two steps.
func makeGroup(group string) error {
	var err error
	for range 100 {
		if err = os.MkdirAll(group, 0o755); !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return err
}

type setting struct{ file, value string }

// settingsV1 are the limits of one controller, in the order in which they must be
// written.
func settingsV1(controller string, spec engine.Spec) []setting {
	switch controller {
	case "memory":
		return []setting{{"memory.limit_in_bytes", strconv.Itoa(spec.MemMiB << 20)}} // and see settle
	case "pids":
		// Beyond it the whole sandbox dies, so RLIMIT_NPROC has to strike first. A
		// process of the guest takes two threads of the host, and a moment's third.
		return []setting{{"pids.max", strconv.Itoa(spec.PIDs*3 + 512)}}
	case "cpu":
		return []setting{{"cpu.cfs_period_us", strconv.Itoa(cpuPeriodUS)}} // and see settle
	default:
		return nil
	}
}

func inheritCpuset(group string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		for _, dir := range []string{filepath.Dir(group), group} {
			data, err := os.ReadFile(filepath.Join(filepath.Dir(dir), name))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, name), data, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle sets what comes last, when the agent waits for its first request and no code
// of a guest has run. A boot takes more than one processor for a moment, and would
// be held up for the rest of a period. The memory is what the guest was to see at
// its boot as its own; only now comes what gVisor needs beside it.
func (g cgroup) settle(spec engine.Spec) error {
	if g.path == "" {
		return nil
	}
	quota := strconv.Itoa(spec.VCPUs * cpuPeriodUS)
	memory := strconv.Itoa((spec.MemMiB + memoryMarginMiB(spec)) << 20)
	return errors.Join(
		os.WriteFile(filepath.Join(g.cpu, "cpu.cfs_quota_us"), []byte(quota), 0),
		os.WriteFile(filepath.Join(g.memory, "memory.limit_in_bytes"), []byte(memory), 0),
	)
}

// killed reports whether the kernel's out-of-memory killer struck in the group.
func (g cgroup) killed() bool {
	if g.memory == "" {
		return false
	}
	data, err := os.ReadFile(filepath.Join(g.memory, "memory.oom_control"))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(data) {
		if count, ok := bytes.CutPrefix(line, []byte("oom_kill ")); ok {
			return !bytes.Equal(bytes.TrimSpace(count), []byte("0"))
		}
	}
	return false
}
