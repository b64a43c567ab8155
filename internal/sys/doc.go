// Package sys is where pyro talks to the kernel: locks, processes, descriptors,
// signals, and the errors that come back. Others get verbs and plain types from it
// and need neither x/sys/unix nor syscall.
//
// It decides nothing: no paths of pyro, no policy, no state between calls. What
// other systems than Linux lack returns an error of kind api.Unsupported there, so
// that clients of pyro build and run everywhere. Reading tar archives has a package
// of its own (archive), and so have the engines their namespaces.
package sys
