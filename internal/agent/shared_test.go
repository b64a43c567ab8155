package agent

import (
	"bytes"
	"strings"
	"testing"
)

// On a machine that is not its own, an agent must not take the machine's memory and
// processes for those of its commands.
func TestSharedExcludesLimitsOfTheMachine(t *testing.T) {
	for _, limit := range []string{"--mem-mib=1024", "--pids=100"} {
		var errs bytes.Buffer
		if code := Main(t.Context(), []string{"--fd", "3", "--shared", limit}, &errs); code != 2 || !strings.Contains(errs.String(), "--shared excludes") {
			t.Errorf("%s: exit %d, %s", limit, code, &errs)
		}
	}
	if cfg := newAgent(Config{Shared: true, MemMiB: 1024, PIDs: 100}).cfg; cfg.MemMiB != 0 || cfg.PIDs != 0 || !cfg.Init {
		t.Errorf("it serves with %+v", cfg)
	}
}

func TestSharedReachesNobodyElse(t *testing.T) {
	a := newAgent(Config{Shared: true})
	list, kill := a.reach()
	if len(list) != 0 {
		t.Errorf("without a command it reaches %+v", list)
	}
	kill([]int{1, -1, 0}) // would end this process, if not the machine
	if all, _ := newAgent(Config{}).reach(); len(all) == 0 {
		t.Error("an agent with a machine of its own reaches nobody")
	}
}
