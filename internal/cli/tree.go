package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tree builds all commands. Building is cheap: nothing is opened or looked up.
func (a *app) tree() *cobra.Command {
	root := &cobra.Command{
		Use:   "pyro",
		Short: "disposable Linux workspaces, each in a sandbox of its own",
		Long: `pyro runs commands in Linux sandboxes that can be thrown away: one command in a
sandbox that is gone afterwards (run), or a workspace that stays until it is
deleted or its time is over (workspace).`,
		Example: `  pyro doctor
  pyro run host -- uname -a

  id=$(pyro workspace create host --seed-path . --id-only)
  pyro workspace exec "$id" -- make test
  pyro workspace sync push "$id" .
  pyro workspace logs "$id" --last 1
  pyro workspace stop "$id"
  pyro workspace start "$id"
  pyro workspace delete "$id"`,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE:              func(*cobra.Command, []string) error { return a.printVersion() },
		PersistentPreRunE: checkHere,
	}
	root.Flags().SortFlags = false
	root.Flags().Bool("version", false, "print the version")
	root.PersistentFlags().Var(serverValue{a}, "url", "use the pyro serve at unix:///PATH or https://HOST:PORT, also PYRO_URL; with any command")
	root.AddCommand(a.runCommand(), a.workspaceCommand(), a.mcpCommand(), here(a.serveCommand()), here(a.hostCommand()), a.prepareCommand(), a.demoCommand(), a.doctorCommand(), here(a.configCommand()), here(a.versionCommand()), here(a.completionCommand()))
	noFilesForValues(root)
	root.SetHelpCommand(a.helpCommand(root))
	root.InitDefaultHelpCmd()
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { a.help = a.print(helpText(cmd)) })
	root.SetFlagErrorFunc(flagError)
	return root
}

// arrange brings what was typed into the one order that cobra needs: commands,
// options in full, --, the rest. Requests of the completion scripts are cobra's own.
func arrange(root *cobra.Command, words []string) ([]string, error) {
	if len(words) > 0 && (words[0] == cobra.ShellCompRequestCmd || words[0] == cobra.ShellCompNoDescRequestCmd) {
		return words, nil
	}
	inv, err := grammarOf(root).parse(words)
	if err != nil {
		return nil, err
	}
	return inv.argv(), nil
}

// grammarOf reads the grammar of a command off its flags and its Use line, so that
// help and parser cannot disagree. After its name stand the positionals: NAME is
// required, [NAME] may be left out, and [--] makes all after it the guest's.
func grammarOf(cmd *cobra.Command) *grammar {
	cmd.InitDefaultHelpFlag()
	g := &grammar{path: strings.Fields(cmd.CommandPath()), usage: usageLine(cmd), alone: cmd.HasParent() && cmd.Runnable()}
	add := func(f *pflag.Flag, yields bool) {
		g.options = append(g.options, option{
			name: f.Name, short: f.Shorthand, value: f.NoOptDefVal == "", yields: yields,
			decides: f.Name == "help" || f.Name == "version",
		})
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		_, yields := f.Annotations[yieldKey]
		add(f, yields)
	})
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { add(f, true) })
	for _, sub := range cmd.Commands() {
		g.commands = append(g.commands, grammarOf(sub))
	}
	for _, word := range strings.Fields(cmd.Use)[1:] {
		switch {
		case word == "[--]":
			g.guest = true
		case strings.HasPrefix(word, "["):
			g.more = true
		case !g.guest:
			g.operands = append(g.operands, word)
		}
	}
	return g
}

func usageLine(cmd *cobra.Command) string {
	if cmd.HasSubCommands() {
		var names []string
		for _, sub := range cmd.Commands() {
			names = append(names, sub.Name())
		}
		list := "{" + strings.Join(names, ",") + "} ..."
		if cmd.HasParent() && cmd.Runnable() {
			return cmd.CommandPath() + " [options] [" + list + "]"
		}
		return cmd.CommandPath() + " [--help] " + list
	}
	words := slices.Insert(strings.Fields(cmd.Use)[1:], 0, cmd.CommandPath(), "[options]")
	return strings.Join(words, " ")
}

// flagError words a value that a flag refused.
func flagError(cmd *cobra.Command, err error) error {
	g := &grammar{path: strings.Fields(cmd.CommandPath()), usage: usageLine(cmd)}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return g.fail("argument --%s: %s", invalid.GetFlag().Name, invalid.Unwrap())
	}
	return g.fail("%s", err)
}

// misuse is a usageError found by a command itself.
func misuse(cmd *cobra.Command, format string, args ...any) error {
	g := &grammar{path: strings.Fields(cmd.CommandPath()), usage: usageLine(cmd)}
	return g.fail(format, args...)
}
