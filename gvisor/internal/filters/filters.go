// Package filters has the seccomp programs of the configurations that pyro boots,
// compiled beforehand. The public gVisor module ships none, so that each start
// would compile them: 11 to 14 ms in the Sentry and 5 ms in the gofer.
//
// The programs are gVisor's own, word for word (a test compares); the package does
// not decide what a filter allows.
package filters

//go:generate env CGO_ENABLED=0 go run ./gen programs_amd64.go

import (
	"sync"
	_ "unsafe" // for go:linkname

	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	_ "gvisor.dev/gvisor/runsc/boot/filter"
	_ "gvisor.dev/gvisor/runsc/fsgofer/filter"
)

// gVisor looks a program up in these unexported maps, and fills them, with nothing,
// through the Once beside them.

//go:linkname sentryMap gvisor.dev/gvisor/runsc/boot/filter.precompiledPrograms
var sentryMap map[string]precompiledseccomp.Program

//go:linkname sentryOnce gvisor.dev/gvisor/runsc/boot/filter.registerPrecompiledProgramsOnce
var sentryOnce sync.Once

//go:linkname goferMap gvisor.dev/gvisor/runsc/fsgofer/filter.precompiledPrograms
var goferMap map[string]precompiledseccomp.Program

//go:linkname goferOnce gvisor.dev/gvisor/runsc/fsgofer/filter.registerPrecompiledProgramsOnce
var goferOnce sync.Once

// Register makes gVisor find the programs. A configuration that is not among them
// is compiled when it is needed: slower, never weaker. A second call does nothing.
func Register() {
	sentryOnce.Do(func() { sentryMap = byName(sentryPrograms()) })
	goferOnce.Do(func() { goferMap = byName(goferPrograms()) })
}

// Keys names the built-in programs, each behind "sentry " or "gofer ". There are
// none on an architecture without a table.
func Keys() []string {
	var keys []string
	for _, p := range sentryPrograms() {
		keys = append(keys, "sentry "+p.Name)
	}
	for _, p := range goferPrograms() {
		keys = append(keys, "gofer "+p.Name)
	}
	return keys
}

func byName(programs []precompiledseccomp.Program) map[string]precompiledseccomp.Program {
	m := make(map[string]precompiledseccomp.Program, len(programs))
	for _, p := range programs {
		m[p.Name] = p
	}
	return m
}
