package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) versionCommand() *cobra.Command {
	var licenses bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Long: `Prints "pyro" and the version, then which gVisor and which programs sandboxes are
run with. --licenses prints the licenses of all that is built in instead.`,
		Example: "  pyro version\n  pyro version --json\n  pyro version --licenses",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case licenses && a.json:
				return misuse(cmd, "argument --licenses: not allowed with argument --json")
			case licenses:
				return a.print(a.Licenses)
			case a.Programs == nil:
				return a.show(&api.Version{Version: a.Version, Programs: []api.ProgramVersion{}}, func() string { return "pyro " + a.Version + "\n" })
			}
			found, err := await(cmd.Context(), a, "version", a.Programs)
			if err != nil {
				return err
			}
			return a.show(found, func() string { return versionPage(found) })
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&licenses, "licenses", false, "print the licenses of pyro and of all that is built in")
	a.jsonFlag(cmd.Flags())
	return cmd
}

func versionPage(v *api.Version) string {
	p := &page{}
	p.line("pyro %s", v.Version)
	if v.GVisor != nil {
		p.line("gVisor %s", *v.GVisor)
	}
	for _, program := range v.Programs {
		p.line("%s", programLine(program))
	}
	p.line("%s %s", v.Go, v.Platform)
	return p.String()
}

func programLine(p api.ProgramVersion) string {
	switch {
	case p.Why != nil:
		return fmt.Sprintf("%s unknown: %s", p.Name, *p.Why)
	case p.Carried:
		return fmt.Sprintf("%s %s, in pyro itself", p.Name, *p.Version)
	default:
		return fmt.Sprintf("%s %s, %s", p.Name, *p.Version, *p.Path)
	}
}
