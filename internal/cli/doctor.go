package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) doctorCommand() *cobra.Command {
	var platform string
	var req api.DoctorRequest
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "show what this machine can run, and what it lacks",
		Long: `Runs a sandbox, and looks at all that sandboxes need: whether it works here, why
not, and what to do. What is in order is counted, the rest is shown. With --fix
what killed processes have left is freed; workspaces are never removed. With
--environment also whether that was tried out here (warm), never was (cold), or was
before something changed (stale); see pyro prepare.

The exit code is 0 whatever is found; scripts read runtime_ok and checks.`,
		Example: "  pyro doctor\n  pyro doctor --json\n  pyro doctor --environment host\n  pyro doctor --fix",
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := await(cmd.Context(), a, "doctor", func(ctx context.Context) (*api.Doctor, error) {
				return a.doctor(ctx, req)
			})
			switch {
			case err != nil:
				return err
			case platform != "" && platform != found.Platform:
				return invalid(fmt.Sprintf("platform %s cannot be looked at from %s", platform, found.Platform), "leave --platform out")
			}
			return a.show(found, func() string { return doctorPage(found, req.Fix) })
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().Var(textValue{&platform, "PLATFORM"}, "platform", "fail unless this machine is one, for example linux-x86_64")
	cmd.Flags().Var(textValue{&req.Environment, "ENVIRONMENT"}, "environment", "look whether this environment can be used and was prepared, for example host")
	cmd.Flags().BoolVar(&req.Fix, "fix", false, "free what killed processes have left")
	a.jsonFlag(cmd.Flags())
	return cmd
}

// doctor looks at the machine that has the workspaces.
func (a *app) doctor(ctx context.Context, req api.DoctorRequest) (*api.Doctor, error) {
	if a.server() != "" {
		c, err := a.open(a.Environ)
		if err != nil {
			return nil, err
		}
		return c.Doctor(ctx, req)
	}
	if a.Doctor == nil {
		return nil, &api.Error{Kind: api.Unsupported, Op: "doctor", Hint: "run it where sandboxes run"}
	}
	return a.Doctor(ctx, req)
}

// doctorPage is what was found out about a machine. Its first lines are those of the
// replaced product; what is in order takes no line of its own after them.
func doctorPage(d *api.Doctor, fix bool) string {
	p := &page{}
	p.line("Platform: %s", d.Platform)
	verdict := "FAIL"
	if d.RuntimeOK {
		verdict = "PASS"
	}
	p.line("Runtime: %s", verdict)
	p.line("KVM: exists=%s readable=%s writable=%s", yesNo(d.KVM.Exists), yesNo(d.KVM.Readable), yesNo(d.KVM.Writable))
	if r := d.Runtime; r != nil {
		p.line("Environment cache: %s", r.CacheDir)
		c := r.Capabilities
		p.line("Capabilities: vm_boot=%s guest_exec=%s guest_network=%s",
			yesNo(c.SupportsVMBoot), yesNo(c.SupportsGuestExec), yesNo(c.SupportsGuestNetwork))
	}
	p.line("Networking: tun=%s ip_forward=%s", yesNo(d.Networking.TunAvailable), yesNo(d.Networking.IPForwardEnabled))
	for _, e := range d.Engines {
		p.engine(e)
	}
	if e := d.Environment; e != nil {
		p.environment(e)
	}
	if len(d.Issues) > 0 {
		p.line("Issues:")
	}
	for _, issue := range d.Issues {
		p.line("- %s", issue)
	}
	p.checks(d.Checks)
	if fix {
		p.fixed(d.Fixed)
	}
	return p.String()
}

func (p *page) environment(e *api.EnvironmentState) {
	line := fmt.Sprintf("Environment: %s %s", e.Name, e.State)
	if e.PreparedAt != nil {
		line += fmt.Sprintf(" prepared_at=%s", *e.PreparedAt)
	}
	p.line("%s", line)
	if p.optional("  why", e.Reason); e.State != api.Warm {
		p.line("  hint: `pyro prepare %s` tries it out", e.Name)
	}
}

func (p *page) engine(e api.DoctorEngine) {
	available := yesNo(e.Available)
	if e.Available && e.NeedsConsent {
		available = "by-consent"
	}
	p.line("Engine: %s available=%s isolation=%s", e.Name, available, e.Isolation)
	p.optional("  why", e.Why)
	p.optional("  hint", e.Hint)
	for _, w := range e.Weakens {
		p.line("  weaker: %s", w)
	}
}

// checks counts them and shows those that warn; those that failed are issues.
func (p *page) checks(checks []api.DoctorCheck) {
	if len(checks) == 0 {
		return
	}
	count, width := map[api.CheckResult]int{}, 0
	for _, c := range checks {
		count[c.Result]++
		if c.Result == api.CheckWarn {
			width = max(width, len(c.Name))
		}
	}
	var counted []string
	for _, r := range []api.CheckResult{api.CheckOK, api.CheckWarn, api.CheckFail, api.CheckSkip} {
		if n := count[r]; n > 0 {
			counted = append(counted, fmt.Sprintf("%d %s", n, r))
		}
	}
	p.line("Checks: %s", strings.Join(counted, ", "))
	for _, c := range checks {
		if c.Result == api.CheckWarn {
			p.line("  warn  %-*s  %s", width, c.Name, c.Reason)
			p.optional(fmt.Sprintf("        %-*s  next", width, ""), c.NextStep)
		}
	}
}

func (p *page) fixed(list []string) {
	if len(list) == 0 {
		p.line("Fixed: nothing was to be fixed")
		return
	}
	p.line("Fixed:")
	for _, what := range list {
		p.line("- %s", what)
	}
}
