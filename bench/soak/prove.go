package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

const (
	recovery = 5 * time.Second         // after a blow all is well again
	settling = 1500 * time.Millisecond // until a blow has had all its effects
)

// reasons are those for which a workspace may be found stopped, see docs/lifecycle.md.
var reasons = []string{"explicit_stop", "idle", "supervisor_stopped", "supervisor_lost", "sandbox_lost"}

// prove takes a workspace that was struck until it is whole: it runs, commands work,
// and its files are such as they were when its disk was saved last, or newer. It has
// to be so soon after the last blow. It gives up when ctx ends or the workspace is gone.
func (w *worker) prove(ctx context.Context, h *held) {
	began := time.Now()
	for ctx.Err() == nil && w.has(h) {
		m := w.marks.of(h.id)
		whole := w.mend(ctx, h)
		if w.marks.of(h.id).blows != m.blows {
			continue
		}
		since := time.Since(m.last)
		switch {
		case !w.has(h) || ctx.Err() != nil:
			return
		case whole && since >= settling:
			h.proven = m
			w.stats.recovered(time.Since(began))
			return
		case whole:
			rest(ctx, settling-since)
		case since > recovery+w.patience:
			w.violate(ctx, w.name, answer{request: request{op: "prove", id: h.id}}, fmt.Sprintf("%s is not whole %v after the last blow", h.id, since.Round(time.Second)))
			w.forget(h)
			return
		default:
			rest(ctx, 50*time.Millisecond)
		}
	}
}

// mend does what a user would: look, start what is stopped, go on. It reports whether
// all of that worked.
func (w *worker) mend(ctx context.Context, h *held) bool {
	if h.deleting {
		w.remove(ctx, h)
		return !w.has(h)
	}
	a, ok := w.do(ctx, h, request{op: "status", args: []string{"workspace", "status", h.id, "--json"}}, want{check: decodes(func(s *api.Workspace) string {
		if s.State == api.StateBroken || s.State == api.StateStopped && (s.Reason == nil || !slices.Contains(reasons, *s.Reason)) {
			return fmt.Sprintf("it is %s for the reason %s", s.State, value(s.Reason))
		}
		return h.other(s.WorkspaceID)
	})})
	if !ok {
		return false
	}
	h.learn(a)
	if !h.running {
		r := request{op: "start", args: []string{"workspace", "start", h.id, "--json"}}
		a, ok := w.do(ctx, h, r, want{})
		if !ok {
			return false
		}
		h.learn(a)
	}
	return w.look(ctx, h, h.saved) || h.idles // which may stop by itself before the look
}

func value(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// verdict judges a call, writes it into the trace, and reports whether it did what it
// was for.
func (s *soak) verdict(ctx context.Context, who string, a answer, how want) bool {
	if ctx.Err() != nil {
		return false // the end of the soak has cut it
	}
	wrong, done := judge(a, how)
	note := ""
	switch {
	case a.struck:
		note = " (struck)"
	case how.disturbed:
		note = " (disturbed)"
	}
	said := ""
	if r, ok := a.reply(); ok {
		said = fmt.Sprintf(" [%s] %s", r.Kind, clip(r.Error, 200))
	}
	s.note("%s %s: code %d in %v%s%s", who, a, a.code, a.took.Round(time.Millisecond), note, said)
	s.stats.called(a, done)
	if wrong != "" {
		s.violate(ctx, who, a, wrong)
	}
	return done
}

// quote is an answer for the report.
func quote(a answer) string {
	text, _ := json.Marshal(map[string]string{"stdout": clip(a.out, 2000), "stderr": clip(a.err, 4000)})
	return string(text)
}
