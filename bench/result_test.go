package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestInTurns(t *testing.T) {
	var order string
	side := func(name string) side {
		return func(context.Context) (time.Duration, error) {
			order += name
			return time.Duration(len(order)), nil
		}
	}
	got, err := inTurns(t.Context(), 2, side("A"), side("B"))
	if err != nil || order != "ABABAB" {
		t.Errorf("order %q, error %v, want ABABAB", order, err)
	}
	if diff := cmp.Diff([][]time.Duration{{3, 5}, {4, 6}}, got); diff != "" {
		t.Errorf("times without the first turn (-want +got):\n%s", diff)
	}
	failure := errors.New("cannot be measured")
	fails := func(context.Context) (time.Duration, error) { return 0, failure }
	if _, err := inTurns(t.Context(), 2, fails); !errors.Is(err, failure) {
		t.Errorf("error %v, want %v", err, failure)
	}
}

func TestCompared(t *testing.T) {
	got := compared([]time.Duration{6e6, 2e6, 4e6}, []time.Duration{1e6, 8e6, 2e6})
	want := result{N: 3, Product: &sample{P50: 4, Min: 2}, Baseline: &sample{P50: 2, Min: 1}, Ratios: &ratios{P50: 2, Min: 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("compared (-want +got):\n%s", diff)
	}
}
