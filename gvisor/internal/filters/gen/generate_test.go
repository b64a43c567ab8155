package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"gvisor.dev/gvisor/pkg/bpf"
	"gvisor.dev/gvisor/pkg/seccomp"
	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	sentry "gvisor.dev/gvisor/runsc/boot/filter/config"
	gofer "gvisor.dev/gvisor/runsc/fsgofer/filter/config"
)

// With this process's variables filled in, a program is the one that gVisor would
// compile here and now by its exported functions: the pid, which gen replaces by a
// variable, is ours in both.
func TestProgramsAreThoseThatGVisorWouldCompile(t *testing.T) {
	for _, opt := range sentryOptions() {
		t.Run("sentry", func(t *testing.T) {
			p, err := compileSentry(opt)
			if err != nil {
				t.Fatal(err)
			}
			allow, deny := sentry.Rules(opt)
			same(t, p, opt.ConfigKey(), opt.Vars(), allow, deny, sentry.SeccompOptions(opt))
		})
	}
	for _, opt := range goferOptions() {
		t.Run("gofer", func(t *testing.T) {
			p, err := compileGofer(opt)
			if err != nil {
				t.Fatal(err)
			}
			allow, deny := gofer.Rules(opt)
			same(t, p, opt.ConfigKey(), opt.Vars(), allow, deny, seccomp.ProgramOptions{})
		})
	}
}

func same(t *testing.T, p precompiledseccomp.Program, key string, vars precompiledseccomp.Values, allow, deny seccomp.SyscallRules, options seccomp.ProgramOptions) {
	t.Helper()
	if p.Name != key {
		t.Errorf("name is %q, gVisor will ask for %q", p.Name, key)
	}
	got, err := p.RenderInstructions(vars)
	if err != nil {
		t.Fatal(err)
	}
	whole := seccomp.Program{
		RuleSets: []seccomp.RuleSet{{Rules: deny}, {Rules: allow, Action: seccomp.Allow}},
		Options:  options,
	}
	want, _, err := whole.Build()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text(want), text(got)); diff != "" {
		t.Errorf("program (-gVisor's +ours):\n%s", diff)
	}
}

func text(program []bpf.Instruction) []string {
	lines := make([]string, len(program))
	for i, instruction := range program {
		lines[i] = instruction.String()
	}
	return lines
}
