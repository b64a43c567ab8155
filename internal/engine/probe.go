package engine

import (
	"context"

	"github.com/pyro-sandbox/pyro/api"
)

// Probe is what was found out about an engine on this machine, by running a
// sandbox and for no other reason.
type Probe struct {
	Available bool
	Why       string   // the step that failed; empty where available
	Hint      string   // what to do about it
	Weakens   []string // what is weaker here than it could be, each a sentence
}

// Try runs one sandbox with e and ends it. It takes part of a second; what it
// acquired stands in the ledger.
func Try(ctx context.Context, e Engine, spec Spec, ledger Ledger) Probe {
	s, err := e.Start(ctx, spec, ledger)
	if err != nil {
		return Probe{Why: err.Error(), Hint: api.HintOf(err)}
	}
	limits := s.Limits()
	if err := s.Stop(ctx); err != nil {
		return Probe{Why: "stopping the sandbox: " + err.Error()}
	}
	p := Probe{Available: true}
	if !limits.Enforced && limits.Why != nil {
		p.Weakens = append(p.Weakens, "limits are not enforced: "+*limits.Why)
	}
	return p
}
