package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// How the guest's memory is watched. What a command can fill in the shortest pause
// has to fit into the margin.
const (
	slowestPoll = time.Second
	fastestPoll = 10 * time.Millisecond
	fillRate    = 2 << 30 // bytes a second that a guest may fill, about what one core can touch
	minMargin   = 16 << 20
	comingBack  = 3 * time.Second // what a killed command held may take to be free again
)

// memory is the state of the guest's memory, in bytes.
type memory struct {
	used  int64
	limit int64
}

// margin is how far below the limit a command is killed.
func (m memory) margin() int64 { return max(m.limit/32, minMargin) }

// short reports whether something has to go.
func (m memory) short() bool { return m.used > m.limit-m.margin() }

// pause is how long the watch may look away: until the rest could be full.
func (m memory) pause() time.Duration {
	free := max(m.limit-m.margin()-m.used, 0)
	return min(max(time.Duration(free)*time.Second/fillRate, fastestPoll), slowestPoll)
}

// group is the memory of one command with all that came from it, or of a session
// whose command is over.
type group struct {
	leader int
	pages  int
	pids   []int
}

// groups sums the processes of list. A process belongs to the command that runs in
// its session or in that of an ancestor (running tells leaders of commands), else to
// its session. The agent itself, and kernel threads, which have no session, are left
// out.
func groups(list []sys.Task, self int, running func(leader int) bool) []group {
	byPID := make(map[int]sys.Task, len(list))
	for _, t := range list {
		byPID[t.PID] = t
	}
	owner := func(t sys.Task) int {
		up := t
		for range len(list) { // never round in circles, should the table be torn
			if running(up.Session) {
				return up.Session
			}
			next, ok := byPID[up.Parent]
			if !ok {
				break
			}
			up = next
		}
		return t.Session
	}
	index := make(map[int]int)
	var all []group
	for _, t := range list {
		if t.Session == 0 || t.Ended || t.PID == self || t.PID == 1 {
			continue
		}
		leader := owner(t)
		i, ok := index[leader]
		if !ok {
			i = len(all)
			index[leader] = i
			all = append(all, group{leader: leader})
		}
		all[i].pages += t.Pages
		all[i].pids = append(all[i].pids, t.PID)
	}
	return all
}

// victim is the group to kill: the biggest, and of equal ones the youngest. There
// is none while memory is not short, and none that would give back less than least.
func victim(all []group, m memory, least int64) (group, bool) {
	var worst group
	if !m.short() {
		return worst, false
	}
	for _, s := range all {
		if s.pages > worst.pages || s.pages == worst.pages && s.leader > worst.leader {
			worst = s
		}
	}
	return worst, int64(worst.pages)*int64(os.Getpagesize()) >= least
}

// least is how much a group must hold to be killed. The memory of one that was killed
// just now comes back with a delay, and till then only another that is big enough to
// matter may be taken for the reason that memory is short.
func (m memory) least(sinceLast time.Duration) int64 {
	if sinceLast < comingBack {
		return m.margin()
	}
	return 1
}

// watchMemory kills the biggest command whenever the guest is about to use more than
// its limit, so that the guest as a whole does not end at it. It returns when ctx ends.
func (a *agent) watchMemory(ctx context.Context) {
	limit := int64(a.cfg.MemMiB) << 20
	var last time.Time
	watch(ctx, func() memory {
		used, err := usedMemory()
		if err != nil {
			used = 0 // nothing can be said, so nothing is killed
		}
		return memory{used: used, limit: limit}
	}, func(m memory) {
		running := func(leader int) bool { return a.running.get(leader) != nil }
		if g, ok := victim(groups(sys.Tasks(), os.Getpid(), running), m, m.least(time.Since(last))); ok {
			last = time.Now()
			a.killForMemory(g)
		}
	})
}

// watch calls relieve when memory is short, and reads it the oftener the nearer that is.
func watch(ctx context.Context, read func() memory, relieve func(memory)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		m := read()
		if m.short() {
			relieve(m)
		}
		timer.Reset(m.pause())
	}
}

// killForMemory kills a group; of a command also what the group does not know.
func (a *agent) killForMemory(g group) {
	if p := a.running.get(g.leader); p != nil {
		p.oom.Store(true)
		p.killAll()
		return
	}
	killPIDs(g.pids)
}

// usedMemory is what is in use and could not be had back, by /proc/meminfo.
func usedMemory() (int64, error) {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return parseMeminfo(raw)
}

func parseMeminfo(raw []byte) (used int64, err error) {
	total, available := int64(-1), int64(-1)
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		name, rest, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		var into *int64
		switch string(name) {
		case "MemTotal":
			into = &total
		case "MemAvailable":
			into = &available
		default:
			continue
		}
		number, unit, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
		if *into, err = strconv.ParseInt(string(number), 10, 64); err != nil || string(unit) != "kB" {
			return 0, fmt.Errorf("meminfo: %s is %q", name, rest)
		}
	}
	if total < 0 || available < 0 {
		return 0, errors.New("meminfo: MemTotal or MemAvailable is missing")
	}
	return (total - available) << 10, nil
}
