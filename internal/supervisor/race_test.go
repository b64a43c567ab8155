//go:build race

package supervisor

// poolLoss is how much more is allocated under the race detector, where sync.Pool loses
// what it is given at random.
const poolLoss = 4
