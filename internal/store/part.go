package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Part is the part of a workspace's ledger that is about one of its sandboxes, which
// can be freed while the others live. What a process does not come to free, because it
// is killed, stands in the ledger, and Reap frees it with the rest.
type Part struct {
	w      *Workspace
	number int

	mu   sync.Mutex
	list []Resource
}

// Part begins the part about the sandbox with that number. Two with one number must not
// have anything at the same time.
func (w *Workspace) Part(number int) *Part { return &Part{w: w, number: number} }

// Place is where the sandbox is.
func (p *Part) Place() Place { return p.w.store.Place(p.w.id, p.number) }

// ID is that of the workspace.
func (p *Part) ID() string { return p.w.id }

// Acquire is Ledger.Acquire, and remembers the resource for Free.
func (p *Part) Acquire(r Resource) error {
	p.mu.Lock()
	p.list = append(p.list, r) // before: a line that was written in spite of an error is found
	p.mu.Unlock()
	return p.w.ledger.Acquire(r)
}

// MakeRunDir makes the sandbox's run directory and returns its path.
func (p *Part) MakeRunDir() (string, error) { return p.Place().Run, p.makeRun() }

// AllocateUID is Workspace.AllocateUID for this sandbox.
func (p *Part) AllocateUID() (int, error) { return p.w.allocateUID(p.Acquire) }

// Free frees what the sandbox had, whose processes have ended, and takes it out of the
// ledger. It may be called again after an error, which names what resists.
func (p *Part) Free(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := errors.Join(p.w.freeAll(ctx, p.list)...)
	fault.Hit("part-freed")
	if err != nil {
		return &api.Error{
			Kind: api.Internal, Op: "free a sandbox of workspace", ID: p.w.id, Err: err,
			Hint: cmp.Or(api.HintOf(err), "what is named there still holds it; stopping the workspace tries again"),
		}
	}
	if err := p.w.ledger.drop(p.list); err != nil {
		return sys.Explain("shorten the ledger of "+p.w.id, err)
	}
	fault.Hit("part-forgotten")
	p.list = nil
	return nil
}

// same reports whether two entries are about one thing, whether or not Acquire has
// filled them in.
func (r Resource) same(other Resource) bool {
	return r.Kind == other.Kind && r.Path == other.Path && r.PID == other.PID
}

// drop takes entries out of the ledger, in one step. What cannot be read of it stays.
func (l *Ledger) drop(list []Resource) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	data, err := readBounded(l.path, maxLedger)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept []byte
	for line := range bytes.Lines(data) {
		r, err := parseEntry(line)
		if err == nil && slices.ContainsFunc(list, r.same) || !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		kept = append(kept, line...)
	}
	if err := replace(l.disk, l.path, kept, l.survive); err != nil {
		return err
	}
	l.open, l.size = true, len(kept)
	return nil
}
