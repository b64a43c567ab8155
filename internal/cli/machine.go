package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) doctorCommand() *cobra.Command {
	var platform string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "show what this machine can run, and what it lacks",
		Long: `Tries each engine and shows whether it works here, why not, and what to do. The
exit code is 0 whatever is found; scripts read runtime_ok.`,
		Example: "  pyro doctor\n  pyro doctor --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.Doctor == nil {
				return &api.Error{Kind: api.Unsupported, Op: "doctor", Hint: "run it where sandboxes run"}
			}
			found, err := await(cmd.Context(), a, "doctor", a.Doctor)
			switch {
			case err != nil:
				return err
			case platform != "" && platform != found.Platform:
				return invalid(fmt.Sprintf("platform %s cannot be looked at from %s", platform, found.Platform), "leave --platform out")
			}
			return a.show(found, func() string { return doctorPage(found) })
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().Var(textValue{&platform, "PLATFORM"}, "platform", "fail unless this machine is one, for example linux-x86_64")
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "print the version",
		Long:              `Prints "pyro" and the version.`,
		Example:           "  pyro version",
		RunE:              func(*cobra.Command, []string) error { return a.printVersion() },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func (a *app) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]...",
		Short:   "explain a command",
		Long:    `Explains pyro, or one of its commands. It is the same as COMMAND --help.`,
		Example: "  pyro help run\n  pyro help workspace create",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return misuse(cmd, "no command %s", quote(strings.Join(args, " ")))
			}
			return a.print(helpText(about))
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			if about, rest, err := root.Find(args); err == nil && len(rest) == 0 {
				for _, sub := range about.Commands() {
					names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "print a completion script for bash, zsh or fish",
		Long: `Prints a script that teaches a shell pyro's commands, options and workspace ids.
The shell is bash, zsh or fish.`,
		Example: `  source <(pyro completion bash)
  pyro completion zsh >"${fpath[1]}/_pyro"
  pyro completion fish >~/.config/fish/completions/pyro.fish`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var script strings.Builder
			var err error
			switch args[0] {
			case "bash":
				err = cmd.Root().GenBashCompletionV2(&script, true)
			case "zsh":
				err = cmd.Root().GenZshCompletion(&script)
			case "fish":
				err = cmd.Root().GenFishCompletion(&script, true)
			default:
				return misuse(cmd, "argument SHELL: invalid choice: %s (choose from %s)", quote(args[0]), quoteAll(shells))
			}
			if err != nil {
				return err
			}
			return a.print(script.String())
		},
		ValidArgsFunction: cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp),
	}
}

// completionTime bounds what somebody waits who pressed TAB.
const completionTime = 2 * time.Second

// completeID offers the ids of the workspaces where the id stands.
func (a *app) completeID(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const files = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, files
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	c, err := a.open(a.Environ)
	if err != nil {
		return nil, files
	}
	list, err := c.List(ctx)
	if err != nil {
		return nil, files
	}
	var found []cobra.Completion
	for _, w := range list.Workspaces {
		if !strings.HasPrefix(w.WorkspaceID, begun) {
			continue
		}
		about := []string{string(w.State), w.Environment}
		if w.Name != nil {
			about = slices.Insert(about, 0, *w.Name)
		}
		found = append(found, cobra.CompletionWithDesc(oneLine(w.WorkspaceID), oneLine(strings.Join(about, ", "))))
	}
	return found, files
}

// completeEnvironment offers the environment that is on every machine.
func completeEnvironment(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{cobra.CompletionWithDesc("host", "this machine's own programs")}, cobra.ShellCompDirectiveNoFileComp
}
