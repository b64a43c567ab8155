package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/internal/leaks"
)

// tally counts the calls of one kind.
type tally struct {
	Calls  int           `json:"calls"`
	Done   int           `json:"done"`   // did what they were for
	Struck int           `json:"struck"` // a signal was sent to the command line
	Worst  time.Duration `json:"worst_ns"`
}

// stats are what is counted while the soak runs.
type stats struct {
	mu         sync.Mutex
	tallies    map[string]tally
	blows      map[string]int
	recoveries []time.Duration
	peaces     []peace
	violations []violation
}

func newStats() *stats {
	return &stats{tallies: make(map[string]tally), blows: make(map[string]int)}
}

func (s *stats) called(a answer, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tallies[a.op]
	t.Calls++
	if done {
		t.Done++
	}
	if a.struck {
		t.Struck++
	}
	t.Worst = max(t.Worst, a.took)
	s.tallies[a.op] = t
}

func (s *stats) struck(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blows[what]++
}

func (s *stats) recovered(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recoveries = append(s.recoveries, d)
}

func (s *stats) made(p peace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peaces = append(s.peaces, p)
}

// manyViolations is how many are kept. Further ones are counted.
const manyViolations = 20

func (s *stats) violated(v violation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.violations) >= manyViolations {
		v.Trace, v.Log = nil, ""
	}
	s.violations = append(s.violations, v)
}

// line says how it goes.
func (s *stats) line(since time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls, done, blows := 0, 0, 0
	for _, t := range s.tallies {
		calls, done = calls+t.Calls, done+t.Done
	}
	for _, n := range s.blows {
		blows += n
	}
	return fmt.Sprintf("soak: %v: %d calls, %d done, %d blows, %d recoveries, %d looks for leaks, %d violations",
		since.Round(time.Second), calls, done, blows, len(s.recoveries), len(s.peaces), len(s.violations))
}

// report is the whole answer.
type report struct {
	Seed       uint64           `json:"seed"`
	Workers    int              `json:"workers"`
	UID        int              `json:"uid"`
	Length     string           `json:"length"`
	Summary    string           `json:"summary"`
	Calls      map[string]tally `json:"calls"`
	Blows      map[string]int   `json:"blows"`
	Recovery   spread           `json:"recovery"`
	Peaces     []peace          `json:"peaces"`
	Before     leaks.Totals     `json:"machine_before"`
	After      leaks.Totals     `json:"machine_after"`
	Witness    []sample         `json:"witness"`
	Slope      slopes           `json:"slope"`
	Violations []violation      `json:"violations"`
}

// spread is how long something took, in milliseconds.
type spread struct {
	N   int   `json:"n"`
	P50 int64 `json:"p50_ms"`
	P95 int64 `json:"p95_ms"`
	Max int64 `json:"max_ms"`
}

func spreadOf(times []time.Duration) spread {
	if len(times) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(times))
	at := func(percent int) int64 { return sorted[(len(sorted)-1)*percent/100].Milliseconds() }
	return spread{len(sorted), at(50), at(95), at(100)}
}

func (s *soak) report(before, after leaks.Totals, w *witness) *report {
	length := time.Since(s.trace.began)
	summary := s.stats.line(length)
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return &report{
		Seed: s.seed, Workers: s.workers, UID: os.Getuid(), Length: length.Round(time.Second).String(), Summary: summary,
		Calls: s.stats.tallies, Blows: s.stats.blows, Recovery: spreadOf(s.stats.recoveries), Peaces: s.stats.peaces,
		Before: before, After: after, Witness: w.samples, Slope: slopesOf(w.samples), Violations: s.stats.violations,
	}
}

// String is the report for people.
func (r *report) String() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("%s", r.Summary)
	p("seed %d, %d workers, uid %d", r.Seed, r.Workers, r.UID)
	p("\ncalls              made   done struck  worst")
	for _, op := range slices.Sorted(maps.Keys(r.Calls)) {
		t := r.Calls[op]
		p("  %-15s %6d %6d %6d  %v", op, t.Calls, t.Done, t.Struck, t.Worst.Round(time.Millisecond))
	}
	p("\nblows")
	for _, what := range slices.Sorted(maps.Keys(r.Blows)) {
		p("  %-22s %5d", what, r.Blows[what])
	}
	p("\nwhole again after blows: %d times, p50 %d ms, p95 %d ms, max %d ms", r.Recovery.N, r.Recovery.P50, r.Recovery.P95, r.Recovery.Max)
	p("\nlooks for leaks")
	for _, l := range r.Peaces {
		p("  %-8s %3d deleted, left by delete %d, left by doctor --fix %d; machine: %v", l.At, l.Deleted, len(l.Unfixed), len(l.Left), l.Totals)
	}
	p("  machine before: %v\n  machine after:  %v", r.Before, r.After)
	p("\na workspace that was never struck")
	for _, s := range r.Witness {
		p("  %5.0f s, %5d calls: supervisor %d fds, %d threads, %d KiB; runsc %d, %d KiB; Sentry %d, %d KiB; gofer %d, %d KiB; journal %d KiB",
			s.Seconds, s.Execs, s.FDs, s.Threads, s.RSSKiB, s.RunscFDs, s.RunscKiB, s.SentryFDs, s.SentryKiB, s.GoferFDs, s.GoferKiB, s.JournalKiB)
	}
	p("  slope per hour: supervisor %.1f fds, %.1f threads, %.0f KiB; Sentry %.0f KiB", r.Slope.FDs, r.Slope.Threads, r.Slope.RSSKiB, r.Slope.SentryKiB)
	p("\n%d violations", len(r.Violations))
	for _, v := range r.Violations {
		p("%v", v)
	}
	return b.String()
}

// slopes are growths per hour.
type slopes struct {
	FDs       float64 `json:"fds"`
	Threads   float64 `json:"threads"`
	RSSKiB    float64 `json:"rss_kib"`
	SentryKiB float64 `json:"sentry_rss_kib"`
}

func slopesOf(samples []sample) slopes {
	per := func(of func(sample) int) float64 { return slope(samples, of) * 3600 }
	return slopes{
		per(func(s sample) int { return s.FDs }), per(func(s sample) int { return s.Threads }),
		per(func(s sample) int { return s.RSSKiB }), per(func(s sample) int { return s.SentryKiB }),
	}
}

// slope is the growth per second of the straight line that fits best, by least squares.
func slope(samples []sample, of func(sample) int) float64 {
	n := float64(len(samples))
	var x, y, xx, xy float64
	for _, s := range samples {
		v := float64(of(s))
		x, y, xx, xy = x+s.Seconds, y+v, xx+s.Seconds*s.Seconds, xy+s.Seconds*v
	}
	if d := n*xx - x*x; n > 1 && d > 0 {
		return (n*xy - x*y) / d
	}
	return 0
}
