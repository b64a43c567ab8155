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

// task is a line of the process table.
type task struct {
	pid, parent, group, session int
	ended                       bool // a zombie
	pages                       int  // resident
}

// tasks reads the process table. Processes that end meanwhile are left out.
func tasks() []task {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1)
	var list []task
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue
		}
		if t, ok := parseStat(stat); ok {
			list = append(list, t)
		}
	}
	return list
}

// parseStat reads a /proc/PID/stat, see proc_pid_stat(5). The name in it may hold
// blanks and parentheses, so the last one counts.
func parseStat(stat []byte) (task, bool) {
	const state, parent, group, session, pages = 0, 1, 2, 3, 21 // after the name
	head, _, ok := bytes.Cut(stat, []byte(" ("))
	end := bytes.LastIndexByte(stat, ')')
	if !ok || end < 0 {
		return task{}, false
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) <= pages {
		return task{}, false
	}
	number := func(b []byte) int {
		n, _ := strconv.Atoi(string(b))
		return n
	}
	return task{
		pid: number(head), parent: number(fields[parent]), group: number(fields[group]), session: number(fields[session]),
		ended: fields[state][0] == 'Z' || fields[state][0] == 'X', pages: number(fields[pages]),
	}, true
}

// family is every living process in list that belongs to the command led by leader:
// its group and session, all descendants of what is known or found, and those that
// marked knows.
func family(list []task, leader int, known map[int]bool, marked func(pid int) bool) map[int]bool {
	in := maps.Clone(known)
	if in == nil {
		in = make(map[int]bool)
	}
	in[leader] = true
	for grown := true; grown; {
		grown = false
		for _, t := range list {
			if !in[t.pid] && (t.group == leader || t.session == leader || in[t.parent]) {
				in[t.pid], grown = true, true
			}
		}
	}
	found := make(map[int]bool)
	for _, t := range list {
		if t.pid > 1 && !t.ended && (in[t.pid] || marked(t.pid)) {
			found[t.pid] = true
		}
	}
	return found
}

// killAll kills the command and everything that came from it, also what left its
// session, and returns when none of it is left or maxDying is over.
func (p *process) killAll() {
	marked := func(pid int) bool {
		env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		return err == nil && bytes.Contains(env, []byte(markName+"="+p.mark+"\x00"))
	}
	var known map[int]bool
	wait := time.Millisecond
	for deadline := time.Now().Add(maxDying); time.Now().Before(deadline); {
		// The table is read before anybody is killed, while parents still tell
		// whose children are whose.
		list, kill := p.agent.reach()
		known = family(list, p.pid, known, marked)
		delete(known, os.Getpid())
		if len(known) == 0 {
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
