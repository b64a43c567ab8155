package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// adopt makes this process the parent of all orphans among its descendants, so that
// whatever a command starts stays in its sight. The function that it returns kills
// all of them; it is called when no command is started any more.
func adopt() (endAll func(), err error) {
	self, err := sys.Self()
	if err == nil {
		err = sys.SetSubreaper()
	}
	if err != nil {
		return nil, fmt.Errorf("adopt orphans: %w", err)
	}
	return func() { _ = self.KillDescendants(time.Now().Add(maxDying)) }, nil
}

// reach is the part of the process table that the agent may act upon, and the way to
// kill processes of it. On a machine of its own that is all of it.
func (a *agent) reach() (list []sys.Task, kill func(pids []int)) {
	if !a.cfg.Shared {
		return sys.Tasks(), killPIDs
	}
	self, err := sys.Self()
	if err != nil {
		return nil, killPIDs
	}
	ours := make(map[int]sys.Process)
	for _, d := range self.Descendants() {
		ours[d.PID] = d
	}
	list = slices.DeleteFunc(sys.Tasks(), func(t sys.Task) bool { return ours[t.PID].PID == 0 })
	return list, func(pids []int) {
		for _, pid := range pids {
			if d, ok := ours[pid]; ok { // one that was seen earlier may have ended
				_ = d.Kill()
			}
		}
	}
}
