//go:build !amd64

package filters

import "gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"

// No table for this architecture: gVisor compiles its filters at each start. The
// generator has to run on the architecture itself.

func sentryPrograms() []precompiledseccomp.Program { return nil }

func goferPrograms() []precompiledseccomp.Program { return nil }
