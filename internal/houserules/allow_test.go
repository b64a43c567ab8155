package houserules

import (
	"slices"
	"testing"
)

// exemptions let a file off a rule: rule, then file, then the reason. An entry
// that is no longer needed fails the tests.
var exemptions = map[string]map[string]string{
	"background": {
		"internal/agent/agent.go":       "the duties of PID 1 go on until the last connection is closed, after the end of the caller's context",
		"internal/supervisor/server.go": "the grace for answers under way begins when the server's context has ended",
		"internal/local/supervise.go":   "sweeping belongs to no caller; it has its own deadline",
		"internal/gvisor/sandbox.go":    "waits for the sandbox's own processes, which outlive every call about them",
	},
	"skip": {
		"gvisor/internal/stage/gate_test.go": "the nested module cannot import testgate without taking on the versions of the root module's dependencies",
	},
	"log": {
		"internal/supervisor/server.go": "http.Server takes its error log in no other form",
	},
}

// allowed returns the findings that no exemption covers.
func allowed(t *testing.T, rule string, found []finding) []finding {
	t.Helper()
	rest, stale := exempt(exemptions[rule], found)
	for _, file := range stale {
		t.Errorf("exemption of %s from %q is not needed any more", file, rule)
	}
	return rest
}

// exempt parts the findings that remain from the exemptions that match nothing.
func exempt(reasons map[string]string, found []finding) (rest []finding, stale []string) {
	used := make(map[string]bool)
	for _, f := range found {
		if reasons[f.path] == "" {
			rest = append(rest, f)
			continue
		}
		used[f.path] = true
	}
	for file := range reasons {
		if !used[file] {
			stale = append(stale, file)
		}
	}
	return rest, stale
}

// An exemption of a rule that was renamed would let off nothing, unnoticed.
func TestExemptionsNameRules(t *testing.T) {
	var names []string
	for _, r := range rules {
		if slices.Contains(names, r.name) {
			t.Errorf("two rules are named %q", r.name)
		}
		names = append(names, r.name)
	}
	for name := range exemptions {
		if !slices.Contains(names, name) {
			t.Errorf("exemptions name %q, which is no rule", name)
		}
	}
}
