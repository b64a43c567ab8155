package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// choice is something to do and how often it is done, compared with others.
type choice[T any] struct {
	what   T
	weight int
}

// pick chooses one at random, by weight. At least one weight must be positive.
func pick[T any](r *rand.Rand, choices []choice[T]) T {
	total := 0
	for _, c := range choices {
		total += c.weight
	}
	n := r.IntN(total)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			return c.what
		}
	}
	panic("unreachable: the weights add up")
}

// pause is a time until the next event of many that do not know of each other, which
// is mean on average and never more than six times as long.
func pause(r *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(math.Min(r.ExpFloat64(), 6) * float64(mean))
}

// between is a time from a range.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// source returns the random numbers of one of many that share a seed. They are to be
// repeated, not to be secret.
func source(seed uint64, who int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(who)))
}
