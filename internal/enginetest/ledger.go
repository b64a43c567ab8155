package enginetest

import (
	"sync"

	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// Ledger keeps its entries in memory.
type Ledger struct {
	mu      sync.Mutex
	entries []store.Resource
}

var _ engine.Ledger = (*Ledger)(nil)

// Acquire implements engine.Ledger.
func (l *Ledger) Acquire(r store.Resource) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, r)
	return nil
}

// Entries returns what was acquired so far.
func (l *Ledger) Entries() []store.Resource {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]store.Resource(nil), l.entries...)
}
