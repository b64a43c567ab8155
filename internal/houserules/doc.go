// Package houserules holds the tests that read the source of both modules and
// say where it leaves the rules of the house: which package may import which,
// what no code here does, how long a function may be. It has no code of its own
// outside its tests, it runs nothing it reads, and it does not check what gofumpt,
// vet and staticcheck already do.
//
// Every rule comes with a small source that breaks it, so that none of them is
// unable to fail. What is let off stands in allow_test.go, with the reason.
package houserules
