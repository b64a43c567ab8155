package hostcompat

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// sweep ends what an agent left behind that was killed. All that came from it has
// moved to this process, a subreaper, beside children of others; the mark that the
// agent put into the environment of its commands tells them apart. It returns when
// none was left in two looks, or the deadline has passed: while a process is being
// replaced by its next program it has no environment for a moment.
func sweep(agent int, deadline time.Time) {
	mark := fmt.Appendf(nil, "PYRO_EXEC_ID=%x-", agent)
	clean := 0
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		left := orphans(mark)
		for _, p := range left {
			_ = p.KillTree(deadline)
		}
		if clean++; len(left) > 0 {
			clean = 0
		}
		if clean == 2 || !time.Now().Before(deadline) {
			return
		}
		time.Sleep(wait) // the dead need a moment; what they forked is found next time
		for _, p := range left {
			p.Reap()
		}
	}
}

// orphans are the children of this process with a mark in their environment.
func orphans(mark []byte) []sys.Process {
	var found []sys.Process
	for _, p := range sys.ChildrenOf(os.Getpid()) {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID)) // empty once it has ended
		if err == nil && (bytes.HasPrefix(env, mark) || bytes.Contains(env, append([]byte{0}, mark...))) && p.Alive() {
			found = append(found, p)
		}
	}
	return found
}
