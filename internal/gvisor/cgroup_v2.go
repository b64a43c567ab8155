package gvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// limiterV2 uses cgroup v2, see Documentation/admin-guide/cgroup-v2.rst of Linux. Below
// a base it makes pyro/ID, of which every file stays its own, root's or the user's: the
// supervisor has pyro-runsc be born in it, so that nothing in the sandbox needs to be
// allowed to enter. runsc is told to leave cgroups alone: it would turn controllers on
// from the root of the tree down, which a sandbox's uid may not. What it would have
// read of the memory limit, pyro-runsc reads (package launch).
type limiterV2 struct {
	base base
	tree cgroupTree
}

// cgroupTree changes cgroups.
type cgroupTree interface {
	// Mkdir makes one; that it is there already is no error.
	Mkdir(path string) error
	// Write gives one of its files a value.
	Write(path, value string) error
}

// hostLeaf is the cgroup below a base into which the processes of the base itself go:
// one with controllers for others holds none ("no internal processes").
const hostLeaf = "pyro-host"

// controllersV2 are those that the limits need.
var controllersV2 = []string{"cpu", "memory", "pids"}

// How implements limiter.
func (l limiterV2) How() string {
	return "cgroup v2 below " + l.base.dir
}

// Make implements limiter. Where the base cannot be made ready after all, the limits
// are not enforced, and say so: others may change it at any time.
func (l limiterV2) Make(spec engine.Spec, ledger engine.Ledger) (cgroup, error) {
	if err := l.prepare(); err != nil {
		return unlimited(fmt.Sprintf("the cgroup %s cannot be used: %v; %s", l.base.dir, err, l.base.hint)).Make(spec, ledger)
	}
	group := filepath.Join(l.base.dir, cgroupParent, spec.ID)
	if err := ledger.Acquire(store.Resource{Kind: store.KindCgroup, Path: group}); err != nil {
		return cgroup{}, err
	}
	fault.Hit("cgroup-before")
	if err := l.makeGroup(group); err != nil {
		return cgroup{}, err
	}
	for _, s := range settingsV2(spec) {
		if err := l.set(group, s); err != nil {
			return cgroup{}, err
		}
	}
	fault.Hit("cgroup-after")
	return cgroup{
		born: group,
		late: []setting{
			{filepath.Join(group, "cpu.max"), fmt.Sprintf("%d %d", spec.VCPUs*cpuPeriodUS, cpuPeriodUS)},
			{filepath.Join(group, "memory.max"), settledBytes(spec)},
		},
		events: filepath.Join(group, "memory.events"),
		limits: api.Limits{Enforced: true},
	}, nil
}

// settingsV2 are the limits in the order in which they must be written, but for those
// of settle.
func settingsV2(spec engine.Spec) []setting {
	return []setting{
		{"memory.max", guestBytes(spec)}, // and see settle
		{"memory.swap.max", "0"},         // the limit is not one of memory alone otherwise
		{"memory.oom.group", "1"},        // a sandbox without its gofer would live on, failing in odd ways
		{"pids.max", hostPIDs(spec)},
	}
}

// set writes one limit. Without swap accounting there is no file for swap, and before
// Linux 4.19 none for oom.group: both are more than the promise.
func (l limiterV2) set(group string, s setting) error {
	path := filepath.Join(group, s.file)
	if strings.HasPrefix(s.file, "memory.swap.") || strings.HasPrefix(s.file, "memory.oom.") {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return l.tree.Write(path, s.value)
}

// prepare makes the base one that may have limited children: it holds no process, and
// has turned the controllers on.
func (l limiterV2) prepare() error {
	for range makeRetries {
		if err := l.clear(); err != nil {
			return err
		}
		err := l.enable(l.base.dir)
		if !sys.IsBusy(err) || len(l.base.movable) == 0 {
			return err
		}
		// One of ours has been started meanwhile, in the base like its parent.
		if l.base.movable, err = l.base.strays(); err != nil {
			return err
		}
	}
	return errors.New("processes keep coming into it")
}

// clear moves what is in the base out of it: pyro's own processes and the one that
// started them.
func (l limiterV2) clear() error {
	if len(l.base.movable) == 0 {
		return nil
	}
	leaf := filepath.Join(l.base.dir, hostLeaf)
	if err := l.tree.Mkdir(leaf); err != nil {
		return err
	}
	for _, pid := range l.base.movable {
		err := l.tree.Write(filepath.Join(leaf, procsFile), strconv.Itoa(pid))
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// makeGroup makes the sandbox's group and, if need be, the parent of all.
func (l limiterV2) makeGroup(group string) error {
	parent := filepath.Dir(group)
	var err error
	for range makeRetries {
		if err = l.tree.Mkdir(parent); err != nil {
			return err
		}
		if err = l.enable(parent); err == nil {
			err = l.tree.Mkdir(group)
		}
		if !errors.Is(err, fs.ErrNotExist) && !sys.IsNoDevice(err) {
			return err
		}
	}
	return err
}

// enable turns on what is not on yet, for the children of a cgroup.
func (l limiterV2) enable(dir string) error {
	path := filepath.Join(dir, subtreeFile)
	on, err := words(path)
	if err != nil {
		return err
	}
	if off := missing(on); len(off) > 0 {
		return l.tree.Write(path, "+"+strings.Join(off, " +"))
	}
	return nil
}

// kernelTree is the tree of this machine.
type kernelTree struct{}

// Mkdir implements cgroupTree.
func (kernelTree) Mkdir(path string) error {
	if err := os.Mkdir(path, 0o755); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Write implements cgroupTree. It makes no file: one that is not there is an error.
func (kernelTree) Write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
