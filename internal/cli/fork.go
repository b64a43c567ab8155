package cli

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) forkCommand() *cobra.Command {
	var req api.ForkRequest
	var idOnly bool
	cmd := &cobra.Command{
		Use:     "fork WORKSPACE_ID",
		Short:   "make workspaces that begin as another is",
		GroupID: groupLife,
		Long: `Makes independent workspaces that begin with the disk of another one, as it is now or
as a snapshot has it. Each has an id, a history and a time to live of its own, and
none of the secrets. The baseline is that of the workspace that they were made from,
so that diff shows what was changed there and since.

With --memory what runs goes on in each of them, too: shells and services with
their memory, without published ports. Commands end there, as their clients are
elsewhere. It is refused where there are secrets.`,
		Example: `  pyro workspace fork 0123456789ab
  pyro workspace fork 0123456789ab -n 4 --name try --id-only
  pyro workspace fork 0123456789ab --from green --json
  pyro workspace fork 0123456789ab --memory --id-only`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if idOnly && a.json {
				return misuse(cmd, "argument --id-only: not allowed with argument --json")
			}
			if err := cmp.Or(
				notBlank(cmd, "from", "name a snapshot, or leave it out for the disk as it is now"),
				notBlank(cmd, "name", "leave it out for forks without names"),
			); err != nil {
				return err
			}
			full := req.WithDefaults()
			full.Count = req.Count // 0 is no default here
			if err := full.Check(); err != nil {
				return err
			}
			made, err := awaitOf(cmd.Context(), a, "workspace-fork", args[0], func(ctx context.Context, ws workspace) (*api.Fork, error) {
				return ws.Fork(ctx, full)
			})
			if err != nil {
				return err
			}
			a.warn(&made.Workspaces[0])
			if idOnly {
				return a.print(forkIDs(made))
			}
			return a.show(made, func() string { return forkLines(made) })
		},
		ValidArgsFunction: a.completeIDs(nil, api.StateStarted, api.StateStopped),
	}
	f := cmd.Flags()
	f.Var(textValue{&req.Name, "NAME"}, "name", "what to know the first by; the others are NAME-2, NAME-3 …")
	req.Count = 1
	f.VarP(intValue{&req.Count, "N"}, "number", "n", "how many, 1 to 64")
	f.Var(textValue{&req.From, "SNAPSHOT"}, "from", "begin with a snapshot instead of the disk as it is now")
	_ = cmd.RegisterFlagCompletionFunc("from", a.completeStates)
	f.BoolVar(&req.Memory, "memory", false, "fork the running processes, too")
	f.BoolVar(&req.AllowHostCompat, "allow-host-compat", false, "consent to run without isolation, for a workspace that was made so")
	f.BoolVar(&idOnly, "id-only", false, "print the ids alone, a line each")
	a.jsonFlag(f)
	return cmd
}

func forkIDs(made *api.Fork) string {
	p := &page{}
	for i := range made.Workspaces {
		p.line("%s", made.Workspaces[i].WorkspaceID)
	}
	return p.String()
}

// forkLines is a line for each workspace.
func forkLines(made *api.Fork) string {
	p := &page{}
	for i := range made.Workspaces {
		w := &made.Workspaces[i]
		line := "[workspace-fork] workspace_id=" + w.WorkspaceID
		if w.Name != nil {
			line += " name=" + quote(*w.Name)
		}
		line += " state=" + string(w.State) + " forked_from=" + made.WorkspaceID
		if made.SnapshotName != nil {
			line += " snapshot_name=" + *made.SnapshotName
		}
		p.line("%s", line)
	}
	return p.String()
}
