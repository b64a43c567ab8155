package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// witness is a workspace that works all the time and is never struck. What its
// supervisor and its sandbox hold must not grow.
type witness struct {
	*soak

	id      string
	pid     int // of the supervisor
	execs   int
	samples []sample
}

// sample is what a supervisor and its sandbox hold while nothing is asked of them.
type sample struct {
	Seconds    float64 `json:"seconds"`
	Execs      int     `json:"execs"`
	FDs        int     `json:"fds"`
	Threads    int     `json:"threads"`
	RSSKiB     int     `json:"rss_kib"`
	RunscFDs   int     `json:"runsc_fds"`
	RunscKiB   int     `json:"runsc_rss_kib"`
	SentryFDs  int     `json:"sentry_fds"`
	SentryKiB  int     `json:"sentry_rss_kib"`
	GoferFDs   int     `json:"gofer_fds"`
	GoferKiB   int     `json:"gofer_rss_kib"`
	JournalKiB int     `json:"journal_kib"`
}

func (s *soak) newWitness(ctx context.Context) (*witness, error) {
	w := &witness{soak: s}
	a := s.calls.call(ctx, s.haven, request{op: "quiet", args: []string{"workspace", "create", "host", "--ttl-seconds", "3600", "--id-only"}}, s.patience)
	if w.id = strings.TrimSpace(a.out); a.code != 0 {
		return nil, fmt.Errorf("no workspace can be made here: %s", a.err)
	}
	for _, p := range s.haven.Processes(" supervise " + w.id) {
		w.pid = p.PID
	}
	return w, nil
}

// watch works in it until ctx ends.
func (w *witness) watch(ctx context.Context) {
	r := source(w.seed, -4)
	project := w.haven.At("project")
	_ = os.MkdirAll(project, 0o755)
	for n := 0; rest(ctx, between(r, 50*time.Millisecond, 400*time.Millisecond)); n++ {
		nonce := fmt.Sprintf("witness-%d-%x", n, r.Uint64())
		w.gate.RLock()
		switch {
		case n%40 == 10:
			w.ask(ctx, []string{"workspace", "update", w.id, "--ttl-seconds", "3600", "--json"}, nil)
		case n%40 == 20:
			_ = os.WriteFile(filepath.Join(project, "f"), []byte(nonce), 0o644)
			w.ask(ctx, []string{"workspace", "sync", "push", w.id, project, "--json"}, nil)
		case n%40 == 30:
			w.ask(ctx, []string{"workspace", "logs", w.id, "--last", "5", "--json"}, nil)
		case n%3 == 0:
			w.ask(ctx, execute("", w.id, commandTime, nil, "sh", "-c", "echo $0 >/workspace/g; cat /workspace/g", nonce).args, says(nonce+"\n"))
		default:
			w.ask(ctx, execute("", w.id, commandTime, asJSON, "echo", nonce).args, captures(0, nonce+"\n", ""))
		}
		w.gate.RUnlock()
	}
}

func (w *witness) ask(ctx context.Context, args []string, check func(answer) string) {
	a := w.calls.call(ctx, w.haven, request{op: "quiet", args: args}, w.patience)
	w.verdict(ctx, "witness", a, want{check: check, limit: w.patience + commandTime})
	w.execs++
}

// measure takes a sample. The gate is closed.
func (w *witness) measure(ctx context.Context) {
	if w.samples == nil { // the first saving and the first look are on the heap by then
		rest(ctx, 2*time.Second)
	}
	s := sample{Seconds: time.Since(w.trace.began).Seconds(), Execs: w.execs}
	s.FDs, s.Threads, s.RSSKiB = holdings(w.pid)
	parts := partsOf(w.pid)
	for kind, into := range map[string][2]*int{
		"pyro-runsc": {&s.RunscFDs, &s.RunscKiB}, "Sentry": {&s.SentryFDs, &s.SentryKiB}, "gofer": {&s.GoferFDs, &s.GoferKiB},
	} {
		for _, p := range parts[kind] {
			*into[0], _, *into[1] = holdings(p.PID)
		}
	}
	journals, _ := filepath.Glob(w.haven.At("s/workspaces/" + w.id + "/journal*"))
	for _, name := range journals {
		if info, err := os.Stat(name); err == nil {
			s.JournalKiB += int(info.Size() >> 10)
		}
	}
	w.samples = append(w.samples, s)
}

// holdings are the descriptors, the threads, and the memory in KiB of a process.
func holdings(pid int) (fds, threads, rss int) {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "Threads: %d", &threads)
		_, _ = fmt.Sscanf(line, "VmRSS: %d", &rss)
	}
	return len(entries), threads, rss
}

// leave deletes the workspace and wants nothing to be left of it, nor of the soak.
func (w *witness) leave(ctx context.Context) {
	w.grown(ctx)
	w.ask(ctx, []string{"workspace", "delete", w.id, "--json"}, decodes(func(d *api.WorkspaceDelete) string {
		if !d.Deleted {
			return "it is not deleted"
		}
		return ""
	}))
	left := w.await(ctx, recovery, func() []string { return append(w.haven.Left(map[string]bool{w.id: true}), w.left()...) })
	if len(left) > 0 {
		w.violate(ctx, "witness", answer{}, "it leaks: "+strings.Join(left, "\n"))
	}
}

// What a process may hold more at the end than after the first look. Its memory goes
// up and down by some megabytes, as a garbage collector has it.
const (
	moreFDs     = 2
	moreThreads = 8
	moreKiB     = 16 << 10
)

// grown wants nothing to have grown.
func (w *witness) grown(ctx context.Context) {
	if len(w.samples) < 2 {
		return
	}
	first, last := w.samples[0], w.samples[len(w.samples)-1]
	for _, g := range []struct {
		what            string
		from, to, allow int
	}{
		{"descriptors of the supervisor", first.FDs, last.FDs, moreFDs},
		{"threads of the supervisor", first.Threads, last.Threads, moreThreads},
		{"KiB of the supervisor", first.RSSKiB, last.RSSKiB, moreKiB},
		{"descriptors of runsc", first.RunscFDs, last.RunscFDs, moreFDs},
		{"descriptors of the Sentry", first.SentryFDs, last.SentryFDs, moreFDs},
		{"descriptors of the gofer", first.GoferFDs, last.GoferFDs, moreFDs},
	} {
		if g.to == 0 || g.to-g.from > g.allow {
			w.violate(ctx, "witness", answer{}, fmt.Sprintf("the %s went from %d to %d", g.what, g.from, g.to))
		}
	}
}
