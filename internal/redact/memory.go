package redact

import (
	"slices"
	"sync"
)

// maxOnce is how much of the values that there were a Memory keeps, in bytes. It bounds
// what changing secrets for ever costs.
const maxOnce = 1 << 20

// Memory is the values of the secrets that there are and, as far as they are recent, of
// those that there were: what runs may have them still and print them. The zero value
// knows none.
type Memory struct {
	mu     sync.Mutex
	values []string // those that there are, then the others, the newest first
	set    *Set
}

// Use makes values those that there are, and returns what is to be hidden.
func (m *Memory) Use(values []string) *Set {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, room := slices.Compact(slices.Sorted(slices.Values(values))), maxOnce
	for _, old := range m.values {
		if slices.Contains(all, old) {
			continue
		}
		if room -= len(old); room < 0 {
			break
		}
		all = append(all, old)
	}
	if !slices.Equal(all, m.values) {
		m.values, m.set = all, New(all...)
	}
	return m.set
}

// Set is what is to be hidden, and more beside it. Nil: nothing is.
func (m *Memory) Set(more ...string) *Set {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(more) == 0 {
		return m.set
	}
	return New(slices.Concat(m.values, more)...)
}
