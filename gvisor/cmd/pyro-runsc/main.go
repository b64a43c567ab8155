// Command pyro-runsc is gVisor's runsc with a command table of pyro's own, ready
// seccomp filters, and a stage that builds a sandbox's root in fresh namespaces.
// It is started by pyro's gVisor engine; package runsc is its manual.
//
// It must be a program of its own: runsc starts itself again through
// /proc/self/exe as "boot" (the Sentry) and "gofer".
package main

import (
	"os"

	"github.com/pyro-sandbox/pyro/gvisor/internal/runsc"
)

func main() {
	os.Exit(runsc.Main(os.Args, os.Stdout, os.Stderr))
}
