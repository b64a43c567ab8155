package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// visit looks at workspaces of others, which may do anything with them meanwhile. It
// ends with ctx.
func (s *soak) visit(ctx context.Context) {
	r := source(s.seed, -2)
	for n := 0; rest(ctx, pause(r, 500*time.Millisecond)); n++ {
		s.gate.RLock()
		if id := s.marks.one(r.IntN); id != "" {
			s.visitOne(ctx, r, id, fmt.Sprintf("visitor-%d-%x", n, r.Uint64()))
		}
		s.gate.RUnlock()
	}
}

func (s *soak) visitOne(ctx context.Context, r *rand.Rand, id, nonce string) {
	before := s.marks.of(id)
	q := pick(r, []choice[request]{
		{execute("visit-exec", id, commandTime, asJSON, "echo", nonce), 3},
		{request{op: "visit-status", args: []string{"workspace", "status", id, "--json"}}, 2},
		{request{op: "visit-logs", args: []string{"workspace", "logs", id, "--json"}}, 1},
		{request{op: "visit-list", args: []string{"workspace", "list", "--json"}}, 2},
	})
	q.id = id
	a := s.calls.call(ctx, s.field, q, s.patience)
	how := want{disturbed: true, mayBeGone: true, limit: s.patience + q.own + s.marks.of(id).frozen - before.frozen + 6*time.Second}
	switch q.op {
	case "visit-exec":
		how.check = captures(0, nonce+"\n", "")
	case "visit-list":
		how.disturbed, how.mayBeGone, how.limit = false, false, s.patience
	}
	s.verdict(ctx, "visitor", a, how)
}

// consult asks the doctor, who always has an answer. It ends with ctx.
func (s *soak) consult(ctx context.Context) {
	r := source(s.seed, -3)
	for rest(ctx, pause(r, 20*time.Second)) {
		s.gate.RLock()
		args := pick(r, []choice[[]string]{{[]string{"doctor", "--json"}, 1}, {[]string{"doctor", "--fix", "--json"}, 1}})
		before := s.marks.anonymous().blows
		s.apart(ctx, "patient", request{op: "doctor", args: args}, want{always: true, check: decodes(func(d *api.Doctor) string {
			if !d.RuntimeOK && s.marks.anonymous().blows == before {
				return fmt.Sprintf("it says that nothing runs here: %q", d.Issues)
			}
			return ""
		})})
		s.gate.RUnlock()
	}
}
