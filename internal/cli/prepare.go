package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// theEnvironment is what is meant where a command is given none.
const theEnvironment = "host"

func (a *app) prepareCommand() *cobra.Command {
	var opts pyro.PrepareOptions
	cmd := &cobra.Command{
		Use:   "prepare [ENVIRONMENT]",
		Short: "try an environment out, so that the first workspace does not wait",
		Long: `Makes a workspace, runs a command in it, resets it and deletes it, once: what is
unpacked or read for the first time is that now, and what does not work on this
machine shows now. That is remembered in the cache directory, and the next call does
nothing until pyro, the kernel or the programs in /usr have changed. doctor
--environment says whether that is so. Without ENVIRONMENT it is host.`,
		Example: "  pyro prepare\n  pyro prepare host --json\n  pyro prepare host --force\n  pyro doctor --environment host",
		RunE: func(cmd *cobra.Command, args []string) error {
			environment := theEnvironment
			if len(args) > 1 {
				return misuse(cmd, "unrecognized arguments: %s", strings.Join(args[1:], " "))
			}
			if len(args) == 1 {
				environment = args[0]
			}
			return a.prepare(cmd, environment, opts)
		},
		ValidArgsFunction: completeEnvironment,
	}
	f := cmd.Flags()
	f.BoolVar(&opts.Network, "network", false, "with a network (not available yet)")
	f.BoolVar(&opts.Force, "force", false, "also if nothing has changed since the last time")
	f.BoolVar(&opts.AllowHostCompat, "allow-host-compat", false, "consent to run without isolation if no isolating engine works")
	a.jsonFlag(f)
	return cmd
}

func (a *app) prepare(cmd *cobra.Command, environment string, opts pyro.PrepareOptions) error {
	if opts.Network {
		if err := checkNetwork(api.NetworkEgress); err != nil {
			return err
		}
	}
	c, err := a.open(a.Environ)
	if err != nil {
		return err
	}
	opts.Step = func(name string) { a.phase("[prepare] phase=%s environment=%s", name, environment) }
	// Without progress: the phases say how far it is.
	done, err := awaitWith(cmd.Context(), a, "prepare", nil, func(ctx context.Context) (*api.Prepare, error) {
		return c.Prepare(ctx, environment, &opts)
	})
	if err != nil {
		return err
	}
	if !done.Executed {
		a.phase("[prepare] it is warm already; --force does it again")
	}
	return a.show(done, func() string { return preparePage(done) })
}

func preparePage(d *api.Prepare) string {
	p := &page{}
	p.line("Environment: %s", d.Environment)
	p.line("State: %s", d.State)
	p.line("Prepared at: %s", d.PreparedAt)
	p.optional("Because", d.Reason)
	p.line("Engine: %s", d.Engine)
	var steps []string
	for _, s := range d.Steps {
		steps = append(steps, fmt.Sprintf("%s %d ms", s.Name, s.DurationMS))
	}
	p.line("Steps: %s", strings.Join(steps, ", "))
	return p.String()
}
