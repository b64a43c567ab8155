package engine_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
)

// scripted starts and stops as it is told.
type scripted struct {
	start, stop error
	limits      api.Limits
	stopped     int
}

func (s *scripted) Info() engine.Info { return engine.Info{} }

func (s *scripted) Start(context.Context, engine.Spec, engine.Ledger) (engine.Sandbox, error) {
	if s.start != nil {
		return nil, s.start
	}
	return s, nil
}

func (s *scripted) Dial(context.Context) (net.Conn, error)    { return nil, api.Unavailable }
func (s *scripted) Wait(context.Context) (engine.Exit, error) { return engine.Exit{}, nil }
func (s *scripted) Limits() api.Limits                        { return s.limits }
func (s *scripted) Stop(context.Context) error                { s.stopped++; return s.stop }

func TestTry(t *testing.T) {
	why := "no cgroup"
	for name, test := range map[string]struct {
		engine  scripted
		stopped int
		want    engine.Probe
	}{
		"runs":            {scripted{limits: api.Limits{Enforced: true}}, 1, engine.Probe{Available: true}},
		"without limits":  {scripted{limits: api.Limits{Why: &why}}, 1, engine.Probe{Available: true, Weakens: []string{"limits are not enforced: no cgroup"}}},
		"does not start":  {scripted{start: &api.Error{Kind: api.Unsupported, Hint: "raise it", Err: errors.New("no namespaces")}}, 0, engine.Probe{Why: "no namespaces", Hint: "raise it"}},
		"does not stop":   {scripted{stop: errors.New("stuck")}, 1, engine.Probe{Why: "stopping the sandbox: stuck"}},
		"starts, no hint": {scripted{start: errors.New("odd")}, 0, engine.Probe{Why: "odd"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := engine.Try(t.Context(), &test.engine, engine.Spec{}, &enginetest.Ledger{})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if test.engine.stopped != test.stopped {
				t.Errorf("stopped %d times, want %d", test.engine.stopped, test.stopped)
			}
		})
	}
}
