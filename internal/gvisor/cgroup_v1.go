package gvisor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// limiterV1 uses cgroup v1. The parent and all limit files stay root's; of the
// sandbox's own group the mapped uid gets cgroup.procs alone, so that it can enter
// and change nothing. Because the groups are there before, runsc neither sets
// limits nor removes them; it reads the memory limit and shows it as MemTotal.
type limiterV1 struct{ root string }

// controllersV1 are all that runsc knows. It makes its group under every one that
// is mounted and fails where it may not, so all of them have to be there before.
var controllersV1 = []string{
	"blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory",
	"net_cls", "net_prio", "perf_event", "pids", "rdma", "systemd",
}

// How implements limiter.
func (l limiterV1) How() string { return "cgroup v1" }

// Make implements limiter.
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
		case "cpu":
			g.late = append(g.late, setting{filepath.Join(group, "cpu.cfs_quota_us"), strconv.Itoa(spec.VCPUs * cpuPeriodUS)})
		case "memory":
			g.late = append(g.late, setting{filepath.Join(group, "memory.limit_in_bytes"), settledBytes(spec)})
			g.events = filepath.Join(group, "memory.oom_control")
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

func makeGroup(group string) error {
	var err error
	for range makeRetries {
		if err = os.MkdirAll(group, 0o755); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// settingsV1 are the limits of one controller, in the order in which they must be
// written.
func settingsV1(controller string, spec engine.Spec) []setting {
	switch controller {
	case "memory":
		return []setting{
			{"memory.limit_in_bytes", guestBytes(spec)}, // and see settle
			{"memory.swappiness", "0"},                  // the limit is not one of memory alone otherwise
		}
	case "pids":
		return []setting{{"pids.max", hostPIDs(spec)}}
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
