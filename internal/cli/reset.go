package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) resetCommand() *cobra.Command {
	var req api.ResetRequest
	cmd := &cobra.Command{
		Use:     "reset WORKSPACE_ID",
		Short:   "bring a workspace back to an earlier state",
		GroupID: groupLife,
		Long: `Brings a workspace back to the state right after create, or to a snapshot: the whole
disk. What runs in it ends, and its history begins anew; ` + "`logs --all`" + ` shows what ran
before. Snapshots, secrets, name, labels and the end of its time stay. The new state
is proven to be good before anything is given up. A stopped workspace is started.`,
		Example: "  pyro workspace reset 0123456789ab\n  pyro workspace reset 0123456789ab --snapshot before-upgrade",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := notBlank(cmd, "snapshot", "leave it out for the baseline"); err != nil {
				return err
			}
			full := req.WithDefaults()
			if err := full.Check(); err != nil {
				return err
			}
			done, err := awaitOf(cmd.Context(), a, "workspace-reset", args[0], func(ctx context.Context, ws workspace) (*api.Reset, error) {
				return ws.Reset(ctx, full)
			})
			if err != nil {
				return err
			}
			a.warn(&done.Workspace)
			return a.show(done, func() string { return resetBlock(done) })
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	f := cmd.Flags()
	f.Var(textValue{&req.Snapshot, "NAME"}, "snapshot", "the state to go back to; default: baseline")
	_ = cmd.RegisterFlagCompletionFunc("snapshot", a.completeStates)
	f.BoolVar(&req.AllowHostCompat, "allow-host-compat", false, "consent to run without isolation, for a stopped workspace that was made so")
	a.jsonFlag(f)
	return cmd
}

// resetBlock is the workspace as it is now, and what it was reset to.
func resetBlock(r *api.Reset) string {
	p := &page{}
	p.WriteString(workspaceBlock("Reset workspace ID: ", &r.Workspace))
	from := r.WorkspaceReset
	p.line("Reset source: %s (%s)", from.SnapshotName, from.Kind)
	p.line("Reset restore: destination=%s entry_count=%d bytes_written=%d", from.Destination, from.EntryCount, from.BytesWritten)
	return p.String()
}
