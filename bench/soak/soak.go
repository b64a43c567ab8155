package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/internal/leaks"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// soak is one run.
type soak struct {
	options

	field, haven *ground
	self         sys.Process
	calls        *calls
	marks        *marks
	stats        *stats
	trace        *trace

	// Whoever does anything holds the gate for reading; it is closed to look for leaks.
	gate  sync.RWMutex
	epoch int // how often everything was deleted, changed while the gate is closed

	thawing sync.WaitGroup // those that will let go what chaos has stopped

	mu  sync.Mutex
	ids map[string]bool // all workspaces that were ever seen on the field
}

// soakFor runs until the time is over or ctx ends. An error means that it could not
// run, not that it found something.
func soakFor(ctx context.Context, o options) (_ *report, err error) {
	dir, field, haven, err := settle(o.state, o.bin)
	if dir != "" {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	if err != nil {
		return nil, err
	}
	s, err := newSoak(o, field, haven)
	if err != nil {
		return nil, err
	}
	before := leaks.Count()
	limited, cancel := context.WithTimeout(ctx, o.length)
	defer cancel()
	w, err := s.newWitness(limited)
	if err != nil {
		return nil, err
	}
	if err := s.fight(limited, w, dir); err != nil {
		return nil, err
	}
	after := context.WithoutCancel(ctx) // its end is no reason to leave anything behind
	s.look(after, w)
	w.leave(after)
	return s.report(before, leaks.Count(), w), nil
}

func newSoak(o options, field, haven *ground) (*soak, error) {
	s := &soak{
		options: o, field: field, haven: haven,
		calls: &calls{running: make(map[int]*inFlight)}, marks: newMarks(), stats: newStats(), trace: newTrace(),
		ids: make(map[string]bool),
	}
	var err error
	if s.self, err = sys.Self(); err != nil {
		return nil, err
	}
	return s, sys.SetSubreaper() // so that no process of pyro's can get out of sight
}

// fight has everybody at work until ctx ends.
func (s *soak) fight(ctx context.Context, witness *witness, dir string) error {
	var all sync.WaitGroup
	defer all.Wait()
	for n := range s.workers {
		w, err := newWorker(s, n, dir)
		if err != nil {
			return err
		}
		all.Go(func() { w.work(ctx) }) // this and all that follow end with ctx
	}
	all.Go(func() { witness.watch(ctx) })
	all.Go(func() { s.visit(ctx) })
	all.Go(func() { s.consult(ctx) })
	all.Go(func() { s.sweep(ctx) })
	if s.blows > 0 {
		c := &chaos{soak: s, rand: source(s.seed, -1)}
		all.Go(func() { c.rage(ctx) })
	}
	s.supervise(ctx, witness)
	return nil
}

// supervise says each minute how it goes, and looks for leaks when it is time.
func (s *soak) supervise(ctx context.Context, w *witness) {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	looks := time.NewTicker(s.every)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-minute.C:
			fmt.Fprintln(os.Stderr, s.stats.line(time.Since(s.trace.began)))
		case <-looks.C:
			s.look(context.WithoutCancel(ctx), w) // once begun it is done to its end, which is near
		}
	}
}

// sweep adopts ended orphans and learns of workspaces, those of pyro run among them,
// which live for a moment.
func (s *soak) sweep(ctx context.Context) {
	for rest(ctx, 40*time.Millisecond) {
		s.learn()
		s.calls.reap(s.self)
	}
}

func (s *soak) learn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.field.IDs() {
		if !strings.Contains(id, ".") {
			s.ids[id] = true
		}
	}
}

func (s *soak) seen() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make(map[string]bool, len(s.ids))
	for id := range s.ids {
		seen[id] = true
	}
	return seen
}

func (s *soak) note(format string, args ...any) { s.trace.add(fmt.Sprintf(format, args...)) }
