package main

import (
	"fmt"
	"maps"
	"slices"
	_ "unsafe" // for go:linkname

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/seccomp"
	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	"gvisor.dev/gvisor/pkg/sentry/platform"
	"gvisor.dev/gvisor/pkg/sentry/platform/systrap"
	sentry "gvisor.dev/gvisor/runsc/boot/filter/config"
	gofer "gvisor.dev/gvisor/runsc/fsgofer/filter/config"
)

// The module's PrecompiledPrograms compiles some hundred configurations, for half a
// minute. What it does for each of them is repeated here for ours; only the
// function that makes rules for given variables is not exported.

//go:linkname sentryRules gvisor.dev/gvisor/runsc/boot/filter/config.rules
func sentryRules(sentry.Options, precompiledseccomp.Values) (allow, deny seccomp.SyscallRules)

//go:linkname goferRules gvisor.dev/gvisor/runsc/fsgofer/filter/config.rules
func goferRules(gofer.Options, precompiledseccomp.Values) (allow, deny seccomp.SyscallRules)

// sentryOptions are the configurations that pyro boots: systrap with directfs.
// gVisor's own network stack needs no more than no network.
func sentryOptions() []sentry.Options {
	return []sentry.Options{{Platform: (*systrap.Systrap)(nil).SeccompInfo(), HostFilesystem: true}}
}

// goferOptions differ in whether a mount needs the gofer for more than opening,
// which the mounts of a sandbox decide; with read-only binds alone none does.
func goferOptions() []gofer.Options {
	return []gofer.Options{{DirectFS: true, LisafsNeeded: true}, {DirectFS: true}}
}

func compileSentry(opt sentry.Options) (precompiledseccomp.Program, error) {
	opt.Platform = variablePID{opt.Platform}
	vars := slices.Sorted(maps.Keys(opt.Vars()))
	return precompiledseccomp.Precompile(opt.ConfigKey(), vars, func(v precompiledseccomp.Values) *seccomp.Program {
		allow, deny := sentryRules(opt, v)
		return program(allow, deny, sentry.SeccompOptions(opt))
	})
}

func compileGofer(opt gofer.Options) (precompiledseccomp.Program, error) {
	vars := slices.Sorted(maps.Keys(opt.Vars()))
	return precompiledseccomp.Precompile(opt.ConfigKey(), vars, func(v precompiledseccomp.Values) *seccomp.Program {
		allow, deny := goferRules(opt, v)
		return program(allow, deny, seccomp.ProgramOptions{})
	})
}

func program(allow, deny seccomp.SyscallRules, options seccomp.ProgramOptions) *seccomp.Program {
	return &seccomp.Program{
		RuleSets: []seccomp.RuleSet{
			{Rules: deny.Copy()},
			{Rules: allow.Copy(), Action: seccomp.Allow},
		},
		Options: options,
	}
}

// variablePID mends the one rule in which systrap writes os.Getpid() as a constant.
// Compiled beforehand, it would allow the generator's pid instead of the Sentry's,
// and the table would never be the same twice. The variable exists for this: the
// Sentry fills in its own pid when it loads the program.
type variablePID struct {
	platform.SeccompInfo
}

// SyscallFilters implements platform.SeccompInfo.
func (p variablePID) SyscallFilters(vars precompiledseccomp.Values) seccomp.SyscallRules {
	rules := p.SeccompInfo.SyscallFilters(vars)
	rule, ok := rules.Get(unix.SYS_RT_TGSIGQUEUEINFO).(seccomp.PerArg)
	if !ok {
		panic(fmt.Sprintf("systrap's rule for rt_tgsigqueueinfo has changed: %v", rules.Get(unix.SYS_RT_TGSIGQUEUEINFO)))
	}
	rule[0] = seccomp.EqualTo(vars.GetUint64("self_pid"))
	rules.Remove(unix.SYS_RT_TGSIGQUEUEINFO)
	return rules.Set(unix.SYS_RT_TGSIGQUEUEINFO, rule)
}
