package gvisor

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
)

// cgroup is where a sandbox's processes are counted. The zero value is none.
type cgroup struct {
	path   string    // below every hierarchy of version 1, for the OCI configuration
	born   string    // the directory of version 2 in which pyro-runsc starts its life
	late   []setting // what settle writes, in this order; files by their whole path
	events string    // the file that counts what the out-of-memory killer took
	limits api.Limits
}

// limiter makes cgroups with the limits of a Spec, or says why it cannot.
type limiter interface {
	Make(spec engine.Spec, ledger engine.Ledger) (cgroup, error)
	// How names what the limits come from, in words for a person; "" for nothing.
	How() string
}

// unlimited is a limiter that enforces nothing and says why, with a next step.
type unlimited string

// Make implements limiter.
func (u unlimited) Make(engine.Spec, engine.Ledger) (cgroup, error) {
	why := string(u)
	return cgroup{limits: api.Limits{Why: &why}}, nil
}

// How implements limiter.
func (unlimited) How() string { return "" }

const (
	cgroupRoot   = "/sys/fs/cgroup"
	cgroupParent = "pyro" // the common parent of all sandboxes in a hierarchy
)

// cpuPeriodUS is the period of the bandwidth controller, a fifth of the kernel's default:
// a guest with many threads uses up its share on all processors at once, and for that
// long its neighbours wait.
const cpuPeriodUS = 20_000

// setting is a value and the file of a cgroup that takes it.
type setting struct{ file, value string }

// makeRetries is how often a group is tried to be made where a sandbox that ends at
// the same time removes the common parent between two steps.
const makeRetries = 100

// guestBytes is the memory that the guest was promised. It is the limit while the
// sandbox boots, because gVisor shows the guest as its memory what the limit is then.
func guestBytes(spec engine.Spec) string { return strconv.Itoa(spec.MemMiB << 20) }

// settledBytes is the limit from then on: with what gVisor needs beside the guest.
func settledBytes(spec engine.Spec) string {
	return strconv.Itoa((spec.MemMiB + memoryMarginMiB(spec)) << 20)
}

// hostPIDs is the limit of the host's threads. Beyond it the whole sandbox dies, so
// RLIMIT_NPROC has to strike first. A process of the guest takes two threads of the
// host, and a moment's third.
func hostPIDs(spec engine.Spec) string { return strconv.Itoa(spec.PIDs*3 + 512) }

// settle sets what comes last, when the agent waits for its first request and no code
// of a guest has run. A boot takes more than one processor for a moment, and would
// be held up for the rest of a period. The memory is what the guest was to see at
// its boot as its own; only now comes what gVisor needs beside it.
func (g cgroup) settle() error {
	var errs []error
	for _, s := range g.late {
		errs = append(errs, os.WriteFile(s.file, []byte(s.value), 0))
	}
	return errors.Join(errs...)
}

// receive has cmd start its life in the group, in version 2. The parent of a process
// needs to be allowed to move it there, its own user does not: so the group belongs to
// nobody in the sandbox. The returned function is to be called when cmd has started.
func (g cgroup) receive(cmd *exec.Cmd) (done func(), err error) {
	if g.born == "" {
		return func() {}, nil
	}
	dir, err := os.Open(g.born)
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	return func() { _ = dir.Close() }, nil
}

// sweep kills whatever is left in the group, where the kernel can do that at once
// (version 2 from Linux 5.14). Elsewhere that is left to the reaper.
func (g cgroup) sweep() {
	if g.born != "" {
		_ = os.WriteFile(filepath.Join(g.born, "cgroup.kill"), []byte("1"), 0)
	}
}

// killed reports whether the kernel's out-of-memory killer struck in the group.
func (g cgroup) killed() bool {
	if g.events == "" {
		return false
	}
	data, err := os.ReadFile(g.events)
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
