package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pyro-sandbox/pyro/api"
)

// completionTime bounds what somebody waits who pressed TAB.
const completionTime = 2 * time.Second

// completeIDs offers the ids of the workspaces in one of the states (none: in any)
// where the id stands, and after it what then offers; nil offers nothing.
func (a *app) completeIDs(then cobra.CompletionFunc, states ...api.State) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return a.idsLike(cmd.Context(), begun, states), cobra.ShellCompDirectiveNoFileComp
		case then != nil:
			return then(cmd, args[1:], begun)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) idsLike(ctx context.Context, begun string, states []api.State) []cobra.Completion {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	c, err := a.open(a.Environ)
	if err != nil {
		return nil
	}
	list, err := c.List(ctx)
	if err != nil {
		return nil
	}
	var found []cobra.Completion
	for _, w := range list.Workspaces {
		if !strings.HasPrefix(w.WorkspaceID, begun) || len(states) > 0 && !slices.Contains(states, w.State) {
			continue
		}
		about := []string{string(w.State), w.Environment}
		if w.Name != nil {
			about = slices.Insert(about, 0, *w.Name)
		}
		found = append(found, cobra.CompletionWithDesc(oneLine(w.WorkspaceID), oneLine(strings.Join(about, ", "))))
	}
	return found
}

// completeFile leaves one word to the shell, which knows files and directories best.
func completeFile(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}

// completeEnvironment offers the environment that is on every machine.
func completeEnvironment(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{cobra.CompletionWithDesc("host", "this machine's own programs")}, cobra.ShellCompDirectiveNoFileComp
}

// completeEngine offers the engines by name; whether one works here, doctor says.
func completeEngine(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{
		cobra.CompletionWithDesc(engineGVisor, "a kernel of its own, in user space"),
		cobra.CompletionWithDesc(api.EngineHostCompat, "no isolation; needs --allow-host-compat"),
	}, cobra.ShellCompDirectiveNoFileComp
}

const engineGVisor = "gvisor"

// noFilesForValues keeps the shell from offering files as the value of an option
// that takes none and offers nothing itself.
func noFilesForValues(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, ok := f.Value.(pathValue); !ok {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions) // refused where there is one
		}
	})
	for _, sub := range cmd.Commands() {
		noFilesForValues(sub)
	}
}
