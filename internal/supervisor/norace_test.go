//go:build !race

package supervisor

// poolLoss is how much more is allocated under the race detector.
const poolLoss = 1
