package supervisor

import (
	"context"
	"net/http"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/events"
)

// summaryTime is how long a summary waits for the guest to count what has changed.
const summaryTime = 5 * time.Second

func (s *supervisor) serveSummary(w http.ResponseWriter, r *http.Request) {
	summary, err := s.summary(r.Context())
	s.answer(w, "sum up workspace", summary, err)
}

// summary is what the record and the log tell, with what the guest says now where it
// answers.
func (s *supervisor) summary(ctx context.Context) (*api.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, summaryTime)
	defer cancel()
	_ = s.refreshServices(ctx) // what was noted before is better than nothing
	_ = s.refreshShells(ctx)
	kept, err := events.Read(s.held.Path(), 0)
	if err != nil {
		return nil, err
	}
	now := s.recorded()
	out := now.SumUp(kept)
	out.Commands.Running = len(s.unended())
	if out.Commands.Running > 0 && out.Outcome.Status == api.OutcomeNone {
		out.Outcome.Status = api.OutcomeRunning
	}
	changes, err := s.countChanges(ctx)
	if err != nil {
		out.ChangesNote = new(s.said(err.Error()))
	}
	out.Changes = changes
	return out, nil
}

// countChanges counts what differs from the baseline.
func (s *supervisor) countChanges(ctx context.Context) (*api.SummaryChanges, error) {
	if s.over() {
		return nil, s.tooLate(opDiff)
	}
	found := &tally{}
	if err := s.diff(ctx, api.DiffRequest{Against: api.DiffBaseline, NoPatch: true}, found); err != nil {
		return nil, err
	}
	return &found.SummaryChanges, nil
}

// tally counts differences, and looks at no content for that.
type tally struct{ api.SummaryChanges }

func (t *tally) begin(api.DiffRequest) bool { *t = tally{}; return true }

func (*tally) longest() int64 { return -1 }

func (t *tally) take(_ string, old, now *side) error {
	t.Total++
	switch statusOf(old, now) {
	case api.DiffAdded:
		t.Added++
	case api.DiffModified:
		t.Modified++
	case api.DiffDeleted:
		t.Deleted++
	case api.DiffTypeChanged:
		t.TypeChanged++
	}
	return nil
}

func (*tally) close([]string) error { return nil }
