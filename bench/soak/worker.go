package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// worker does what a user does, with workspaces that nobody else changes. It knows
// what is in each of them, or between which bounds that lies.
type worker struct {
	*soak

	name    string
	rand    *rand.Rand
	project string // a directory of this machine
	count   int    // of everything that is written, so that no two are equal
	held    []*held
	epoch   int // of the soak when it last looked
}

// held is a workspace as its worker knows it.
type held struct {
	id      string
	running bool
	expires time.Time
	proven  mark // what it had suffered when it was last found to be whole

	// The number in both of its files. Blows leave open which of several it is.
	written   int               // the last that was confirmed
	attempted int               // the last that may have been written
	saved     int               // what is on the saved disk, or older than it
	confirmed map[int]time.Time // when those after saved were
	nonce     string            // of the last command whose output was seen
	idles     bool              // it stops by itself
	deleting  bool              // a delete was begun, and may have been done
}

// most is how many workspaces a worker has.
const most = 3

func newWorker(s *soak, n int, dir string) (*worker, error) {
	w := &worker{soak: s, name: fmt.Sprint("w", n), rand: source(s.seed, n), project: filepath.Join(dir, fmt.Sprint("project", n))}
	return w, os.MkdirAll(filepath.Join(w.project, "src"), 0o755)
}

// work ends with ctx.
func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		w.step(ctx)
		rest(ctx, between(w.rand, 0, 200*time.Millisecond))
	}
}

// step does one thing, and afterwards sees to it that the workspace is whole.
func (w *worker) step(ctx context.Context) {
	w.gate.RLock()
	defer w.gate.RUnlock()
	if ctx.Err() != nil {
		return
	}
	if w.epoch != w.soak.epoch {
		w.held, w.epoch = nil, w.soak.epoch
	}
	if len(w.held) == 0 || len(w.held) < most && w.rand.IntN(4) == 0 {
		w.create(ctx)
		return
	}
	h := w.held[w.rand.IntN(len(w.held))]
	if h.running {
		pick(w.rand, whileRunning)(w, ctx, h)
	} else {
		pick(w.rand, whileStopped)(w, ctx, h)
	}
	switch {
	case !w.has(h):
	case w.marks.of(h.id).blows != h.proven.blows:
		w.prove(ctx, h)
	case h.idles && h.running:
		w.mend(ctx, h) // it may have stopped before the work was done
	}
}

// has reports whether a workspace is still there for the worker.
func (w *worker) has(h *held) bool {
	for _, other := range w.held {
		if other == h {
			return true
		}
	}
	return false
}

// forget notes that a workspace is gone.
func (w *worker) forget(h *held) {
	for i, other := range w.held {
		if other == h {
			w.held = append(w.held[:i], w.held[i+1:]...)
			break
		}
	}
	w.marks.learn(h.id, false)
}

// next is a word that was never said before.
func (w *worker) next() (n int, nonce string) {
	w.count++
	return w.count, fmt.Sprintf("%s-%d-%x", w.name, w.count, w.rand.Uint64())
}

// number writes a number into the files of the project.
func (w *worker) number(n int) error {
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(w.project, name), fmt.Appendln(nil, n), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// files hold the number of a workspace.
var files = []string{"a", "src/b"}

// do makes a call about a workspace and judges it. It reports whether the call did
// what it was for.
func (w *worker) do(ctx context.Context, h *held, r request, how want) (answer, bool) {
	r.id = h.id
	before := h.proven
	a := w.calls.call(ctx, w.field, r, w.patience)
	after := w.marks.of(h.id)
	how.disturbed = how.disturbed || h.idles || before.blows != after.blows
	how.limit = w.patience + r.own + after.frozen - before.frozen
	how.mayBeGone = how.mayBeGone || h.deleting || time.Until(h.expires) < 2*time.Second
	done := w.verdict(ctx, w.name, a, how)
	if !done && how.mayBeGone && isGone(a) {
		w.forget(h)
	}
	return a, done
}

// rest waits, and reports whether ctx has not ended.
func rest(ctx context.Context, d time.Duration) bool {
	return sys.Sleep(ctx, d)
}
