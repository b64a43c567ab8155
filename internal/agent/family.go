package agent

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// markName is the variable by which descendants of a command are found that left
// its session and whose parents are gone.
const markName = "PYRO_EXEC_ID"

// marks makes values of markName that no other agent on the machine makes.
type marks struct {
	prefix string
	count  *atomic.Uint64
}

func newMarks() marks {
	return marks{prefix: fmt.Sprintf("%x-%x", os.Getpid(), time.Now().UnixNano()), count: new(atomic.Uint64)}
}

func (m marks) next() string { return fmt.Sprintf("%s-%x", m.prefix, m.count.Add(1)) }

// registry is the commands that run.
type registry struct {
	mu   sync.Mutex
	byID map[int]*process
}

func (r *registry) add(p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = make(map[int]*process)
	}
	r.byID[p.pid] = p
}

func (r *registry) remove(p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, p.pid)
}

// get returns the command whose leader is pid, or nil.
func (r *registry) get(pid int) *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[pid]
}

// family is every living process in list that belongs to the command led by leader:
// its group and session, all descendants of what is known or found, and those that
// marked knows.
func family(list []sys.Task, leader int, known map[int]bool, marked func(pid int) bool) map[int]bool {
	in := maps.Clone(known)
	if in == nil {
		in = make(map[int]bool)
	}
	in[leader] = true
	for grown := true; grown; {
		grown = false
		for _, t := range list {
			if !in[t.PID] && (t.Group == leader || t.Session == leader || in[t.Parent]) {
				in[t.PID], grown = true, true
			}
		}
	}
	found := make(map[int]bool)
	for _, t := range list {
		if t.PID > 1 && !t.Ended && (in[t.PID] || marked(t.PID)) {
			found[t.PID] = true
		}
	}
	return found
}

// marked reports whether a process has the mark of the command in its environment.
func (p *process) marked(pid int) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && bytes.Contains(env, []byte(markName+"="+p.mark+"\x00"))
}

// kin is what is left of the command and of everything that came from it, also what
// left its session; known are those that it was before.
func (p *process) kin(known map[int]bool) map[int]bool {
	list, _ := p.agent.reach()
	return p.kinIn(list, known)
}

func (p *process) kinIn(list []sys.Task, known map[int]bool) map[int]bool {
	found := family(list, p.pid, known, p.marked)
	delete(found, os.Getpid())
	return found
}

// terminate asks the command and everything that came from it to end.
func (p *process) terminate() { p.tell(syscall.SIGTERM) }

// tell sends signals to the command and everything that came from it.
func (p *process) tell(sigs ...syscall.Signal) {
	list, _ := p.agent.reach()
	kin := p.kinIn(list, nil)
	for _, sig := range sigs {
		if kin[p.pid] {
			p.signal(sig)
		}
		for _, t := range list {
			told := t.Group == p.pid && kin[p.pid] // with its leader
			if kin[t.PID] && !told {
				_ = syscall.Kill(t.PID, sig)
			}
		}
	}
}

// killAll kills the command and everything that came from it, and returns when none of
// it is left or maxDying is over.
func (p *process) killAll() {
	// A group that has all processors keeps this process from them too, and from then on
	// nothing forks or changes its parent.
	p.signal(syscall.SIGSTOP)
	var known map[int]bool
	wait := time.Millisecond
	for deadline := time.Now().Add(maxDying); time.Now().Before(deadline); {
		// The table is read before anybody is killed, while parents still tell
		// whose children are whose.
		list, kill := p.agent.reach()
		if known = p.kinIn(list, known); len(known) == 0 {
			return
		}
		p.signal(syscall.SIGKILL)
		kill(slices.Collect(maps.Keys(known)))
		time.Sleep(wait) // the dead need a moment; what they forked is found next time
		wait = min(2*wait, 50*time.Millisecond)
	}
}

func killPIDs(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
