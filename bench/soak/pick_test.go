package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func schedule(r *rand.Rand) []string {
	var done []string
	for range 50 {
		done = append(done, pick(r, []choice[string]{{"never", 0}, {"often", 3}, {"seldom", 1}}))
	}
	return done
}

func TestPickFollowsFromTheSeed(t *testing.T) {
	first := schedule(source(7, 1))
	if diff := cmp.Diff(first, schedule(source(7, 1))); diff != "" {
		t.Errorf("the same seed does something else:\n%s", diff)
	}
	for name, other := range map[string][]string{"another seed": schedule(source(8, 1)), "another worker": schedule(source(7, 2))} {
		if cmp.Equal(first, other) {
			t.Errorf("%s does the same", name)
		}
	}
}

func TestPickGoesByWeight(t *testing.T) {
	counts := make(map[string]int)
	for seed := range uint64(100) {
		for _, what := range schedule(source(seed, 0)) {
			counts[what]++
		}
	}
	if counts["never"] != 0 || counts["seldom"] == 0 || counts["often"] < 2*counts["seldom"] {
		t.Errorf("counts = %v, want none, and three to one", counts)
	}
}

func TestPause(t *testing.T) {
	r := source(1, 0)
	var sum time.Duration
	const n = 10000
	for range n {
		d := pause(r, time.Second)
		if d < 0 || d > 6*time.Second {
			t.Fatalf("a pause of %v", d)
		}
		sum += d
	}
	if mean := sum / n; mean < 900*time.Millisecond || mean > 1100*time.Millisecond {
		t.Errorf("the mean is %v, want a second", mean)
	}
}

func TestEveryWorkHasAWeight(t *testing.T) {
	for name, works := range map[string][]choice[work]{"running": whileRunning, "stopped": whileStopped} {
		for i, w := range works {
			if w.weight < 1 || w.what == nil {
				t.Errorf("work %d while %s is never done", i, name)
			}
		}
	}
	for i, b := range blows {
		if b.weight < 1 || b.what == nil {
			t.Errorf("blow %d never falls", i)
		}
	}
}
