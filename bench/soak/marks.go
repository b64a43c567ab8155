package main

import (
	"sync"
	"time"
)

// mark says how often something was struck, when last, and for how long in all it
// was stopped.
type mark struct {
	blows  int
	last   time.Time
	frozen time.Duration
}

func (m mark) add(o mark) mark {
	m.blows += o.blows
	m.frozen += o.frozen
	if o.last.After(m.last) {
		m.last = o.last
	}
	return m
}

// marks know which workspaces were struck. A blow is noted before it falls.
type marks struct {
	mu      sync.Mutex
	byID    map[string]mark
	known   map[string]bool // those whose id a worker knows
	unknown mark            // blows at workspaces that nobody knows yet: of create, run, doctor
	all     mark            // blows at everything
}

func newMarks() *marks {
	return &marks{byID: make(map[string]mark), known: make(map[string]bool)}
}

// hit notes a blow at a workspace, "" for one without a name, which stops it for some
// time or forever.
func (m *marks) hit(id string, frozen time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	blow := mark{1, time.Now(), frozen}
	m.byID[id] = m.byID[id].add(blow)
	if !m.known[id] {
		m.unknown = m.unknown.add(blow)
	}
}

// hitAll notes a blow at everything.
func (m *marks) hitAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = m.all.add(mark{blows: 1, last: time.Now()})
}

// of returns what a workspace has suffered.
func (m *marks) of(id string) mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byID[id].add(m.all)
}

// everything returns the blows that met all.
func (m *marks) everything() mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all
}

// anonymous returns what those have suffered that nobody knows.
func (m *marks) anonymous() mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unknown.add(m.all)
}

// learn notes that a worker knows a workspace, or no longer does.
func (m *marks) learn(id string, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known {
		m.known[id] = true
	} else {
		delete(m.known, id)
		delete(m.byID, id)
	}
}

// one returns a workspace that a worker knows, "" if there is none.
func (m *marks) one(choose func(n int) int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.known)
	if n == 0 {
		return ""
	}
	n = choose(n)
	for id := range m.known {
		if n--; n < 0 {
			return id
		}
	}
	return ""
}
