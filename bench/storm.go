package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro"
)

// atOnce is how many workspaces a storm makes.
const atOnce = 20

// storm makes many workspaces at once, and deletes them at once.
func storm(ctx context.Context, b *bench) (result, error) {
	var readyFirst, readyLast, goneFirst, goneLast []time.Duration
	rounds := max(b.n/7, 1)
	for range rounds {
		ready, gone, err := b.stormOnce(ctx)
		if err != nil {
			return result{}, err
		}
		readyFirst, readyLast = append(readyFirst, slices.Min(ready)), append(readyLast, slices.Max(ready))
		goneFirst, goneLast = append(goneFirst, slices.Min(gone)), append(goneLast, slices.Max(gone))
	}
	r := result{N: rounds, What: "20 creates at once by the SDK, then 20 deletes at once"}
	r.Figures = slices.Concat(
		figures("first ready", readyFirst, ""), figures("last ready", readyLast, ""),
		figures("first deleted", goneFirst, ""), figures("last deleted", goneLast, ""))
	return r, nil
}

// stormOnce returns when each workspace was ready and deleted, counted from the
// moment when all were asked for.
func (b *bench) stormOnce(ctx context.Context) (ready, gone []time.Duration, err error) {
	made := make([]*pyro.Workspace, atOnce)
	ready, err = together(func(i int) (err error) {
		made[i], err = b.client.Create(ctx, "host", &pyro.CreateOptions{OneShot: true})
		return err
	})
	gone, deleteErr := together(func(i int) error {
		if made[i] == nil {
			return nil
		}
		_, err := made[i].Delete(context.WithoutCancel(ctx))
		return err
	})
	return ready, gone, errors.Join(err, deleteErr)
}

// together does something atOnce times and returns when each was done.
func together(do func(i int) error) ([]time.Duration, error) {
	done, failed := make([]time.Duration, atOnce), make([]error, atOnce)
	var all sync.WaitGroup
	began := time.Now()
	for i := range atOnce {
		all.Go(func() { // ends with do
			failed[i] = do(i)
			done[i] = time.Since(began)
		})
	}
	all.Wait()
	return done, errors.Join(failed...)
}
