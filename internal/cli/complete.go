package cli

import (
	"context"
	"math"
	"path"
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
// where the id stands, and after it what then offers, which is given the words from
// the id on; nil offers nothing.
func (a *app) completeIDs(then cobra.CompletionFunc, states ...api.State) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return a.idsLike(cmd.Context(), begun, states), cobra.ShellCompDirectiveNoFileComp
		case then != nil:
			return then(cmd, args, begun)
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

// completeShells offers the shells of the workspace that is the last word before.
func (a *app) completeShells(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completeThings(cmd, args, begun, func(ctx context.Context, ws workspace) (found []cobra.Completion) {
		if list, err := ws.Shells(ctx); err == nil {
			for _, s := range list.Shells {
				found = append(found, cobra.CompletionWithDesc(oneLine(s.ShellID), oneLine(string(s.State)+", "+s.Cwd)))
			}
		}
		return found
	})
}

// completeServices offers the services of the workspace that is the last word before.
func (a *app) completeServices(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completeThings(cmd, args, begun, func(ctx context.Context, ws workspace) (found []cobra.Completion) {
		if list, err := ws.Services(ctx); err == nil {
			for _, s := range list.Services {
				found = append(found, cobra.CompletionWithDesc(oneLine(s.ServiceName), oneLine(string(s.State)+", "+s.Command)))
			}
		}
		return found
	})
}

// completeSecrets offers the names of secrets of the workspace that is the last word before.
func (a *app) completeSecrets(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completeThings(cmd, args, begun, func(ctx context.Context, ws workspace) (found []cobra.Completion) {
		if list, err := ws.Secrets(ctx); err == nil {
			for _, s := range list.Secrets {
				found = append(found, cobra.CompletionWithDesc(oneLine(s.Name), oneLine(s.SourceKind)))
			}
		}
		return found
	})
}

// completePaths offers what lies in the directory in the guest that was begun to be typed,
// of the workspace that is the first word, as often as the command takes a path.
func (a *app) completePaths(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	if len(args) > paths(cmd) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	ws, err := a.get(ctx, args[0])
	if err != nil {
		return nil, directive
	}
	dir := begun[:strings.LastIndexByte(begun, '/')+1]
	list, err := ws.Files().List(ctx, api.FileListRequest{Path: dir, Limit: maxOffered})
	if err != nil {
		return nil, directive
	}
	var found []cobra.Completion
	for _, e := range list.Entries {
		word := dir + path.Base(e.Path)
		if e.ArtifactType == api.ArtifactDirectory {
			word += "/"
		}
		if strings.HasPrefix(word, begun) && e.PathBase64 == nil && oneLine(word) == word {
			found = append(found, word)
		}
	}
	return found, directive
}

// maxOffered bounds what of a directory is offered.
const maxOffered = 1000

// completeThings offers, for the word after a workspace's id, what it has that begins so.
func (a *app) completeThings(cmd *cobra.Command, args []string, begun string, list func(context.Context, workspace) []cobra.Completion) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	ws, err := a.get(ctx, args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found := slices.DeleteFunc(list(ctx, ws), func(c cobra.Completion) bool { return !strings.HasPrefix(c, begun) })
	return found, cobra.ShellCompDirectiveNoFileComp
}

// completeFile leaves one word to the shell, which knows files and directories best.
func completeFile(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 1 {
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

// paths is how many paths in the guest a command takes after the id of the workspace.
func paths(cmd *cobra.Command) int {
	if strings.HasSuffix(cmd.Use, "...]") {
		return math.MaxInt
	}
	return len(strings.Fields(cmd.Use)) - 2 // its own name, and the id
}
