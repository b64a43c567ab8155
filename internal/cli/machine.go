package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

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
