package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/leaks"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// peace is what was found when everything had been deleted.
type peace struct {
	At       string       `json:"at"`
	Deleted  int          `json:"deleted"`
	Unfixed  []string     `json:"unfixed"` // what deleting alone has left
	Left     []string     `json:"left"`    // what doctor --fix has left, too
	Totals   leaks.Totals `json:"totals"`
	Duration string       `json:"duration"`
}

// look waits until nobody does anything, deletes everything, and looks for what is
// left. The witness is measured meanwhile.
func (s *soak) look(ctx context.Context, w *witness) {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.thawing.Wait() // what is stopped is let go by itself
	began := time.Now()
	p := peace{At: began.Sub(s.trace.began).Round(time.Second).String()}
	w.measure(ctx)
	p.Deleted = s.deleteAll(ctx)
	s.learn()
	p.Unfixed = s.await(ctx, time.Second, s.left)
	s.quiet(ctx, "doctor --fix", []string{"doctor", "--fix", "--json"}, decodes(func(d *api.Doctor) string {
		if !d.RuntimeOK {
			return fmt.Sprintf("nothing runs here: %q", d.Issues)
		}
		return ""
	}))
	p.Left = s.await(ctx, recovery, s.left)
	if len(p.Left) > 0 {
		s.violate(ctx, "peace", answer{}, "it leaks: "+strings.Join(p.Left, "\n"))
	}
	p.Totals, p.Duration = leaks.Count(), time.Since(began).Round(time.Millisecond).String()
	s.stats.made(p)
	s.note("peace: %d deleted, left by delete %q, after doctor --fix %q", p.Deleted, p.Unfixed, p.Left)
	s.epoch++
}

// quiet makes a call that nothing disturbs.
func (s *soak) quiet(ctx context.Context, op string, args []string, check func(answer) string) (answer, bool) {
	a := s.calls.call(ctx, s.field, request{op: op, args: args}, s.patience)
	return a, s.verdict(ctx, "peace", a, want{check: check, limit: s.patience})
}

func (s *soak) deleteAll(ctx context.Context) int {
	var list api.WorkspaceList
	s.quiet(ctx, "list", []string{"workspace", "list", "--json"}, decodes(func(l *api.WorkspaceList) string { list = *l; return "" }))
	n := 0
	for _, ws := range list.Workspaces {
		a := s.calls.call(ctx, s.field, request{op: "delete", id: ws.WorkspaceID, args: []string{"workspace", "delete", ws.WorkspaceID, "--json"}}, s.patience)
		if s.verdict(ctx, "peace", a, want{limit: s.patience, mayBeGone: true}) {
			n++
		}
		s.marks.learn(ws.WorkspaceID, false)
	}
	return n
}

// left is what there still is on the field: what names it, and every process that
// came from the soak, whatever it names.
func (s *soak) left() []string {
	s.calls.reap(s.self)
	left := s.field.Left(s.seen())
	var mine []int
	for _, p := range s.haven.Processes("") {
		mine = append(mine, p.PID)
	}
	for _, p := range s.self.Descendants() {
		if !slices.Contains(mine, p.PID) && !slices.ContainsFunc(mine, func(pid int) bool { return descends(p, pid) }) {
			left = append(left, fmt.Sprintf("process %d, which came from a command", p.PID))
		}
	}
	return left
}

func descends(p sys.Process, pid int) bool {
	start, err := sys.ProcessStart(pid)
	return err == nil && slices.Contains(sys.Process{PID: pid, Start: start}.Descendants(), p)
}

// await returns what look sees last: nothing, as soon as it sees nothing.
func (s *soak) await(ctx context.Context, most time.Duration, look func() []string) []string {
	bounded, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		seen := look()
		if len(seen) == 0 || !rest(bounded, 50*time.Millisecond) {
			return seen
		}
	}
}
