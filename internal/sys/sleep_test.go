package sys_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

func TestSleep(t *testing.T) {
	for name, c := range map[string]struct {
		bound, want time.Duration
		slept       bool
	}{
		"to its end":             {bound: time.Minute, want: time.Second, slept: true},
		"until the context ends": {bound: time.Millisecond, want: time.Millisecond, slept: false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.bound)
				defer cancel()
				began := time.Now()
				if slept := sys.Sleep(ctx, time.Second); slept != c.slept || time.Since(began) != c.want {
					t.Errorf("slept %v for %v, want %v for %v", slept, time.Since(began), c.slept, c.want)
				}
			})
		})
	}
}
