package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) snapshotCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "snapshot",
		Short:   "keep states of a workspace to go back to",
		GroupID: groupWork,
		Long: `A snapshot is the whole disk of a workspace under a name, not only /workspace. It is
made while everything runs on, and goes with the workspace. reset goes back to one;
the baseline, which is the state right after create, is always there.`,
		Example: `  pyro workspace snapshot create 0123456789ab before-upgrade
  pyro workspace exec 0123456789ab -- make upgrade
  pyro workspace reset 0123456789ab --snapshot before-upgrade`,
	}
	cmd.AddCommand(a.snapshotCreateCommand(), a.snapshotListCommand(), a.snapshotDeleteCommand())
	return cmd
}

func (a *app) snapshotCreateCommand() *cobra.Command {
	const tag = "workspace-snapshot-create"
	cmd := &cobra.Command{
		Use:   "create WORKSPACE_ID NAME",
		Short: "keep the disk as it is now",
		Long: `Keeps the disk of a workspace that runs under a name. What runs in it goes on, and is
not in it; nor are secrets and what else lies in memory.`,
		Example: "  pyro workspace snapshot create 0123456789ab green",
		RunE: func(cmd *cobra.Command, args []string) error {
			req := api.SnapshotRequest{SnapshotName: strings.TrimSpace(args[1])}
			if err := req.Check(); err != nil {
				return err
			}
			made, err := awaitOf(cmd.Context(), a, tag, args[0], func(ctx context.Context, ws workspace) (*api.SnapshotCreate, error) {
				return ws.CreateSnapshot(ctx, req.SnapshotName)
			})
			if err != nil {
				return err
			}
			return a.show(made, func() string {
				s := made.Snapshot
				return oneLine(fmt.Sprintf("[%s] workspace_id=%s snapshot_name=%s kind=%s entry_count=%d bytes_written=%d method=%s",
					tag, made.WorkspaceID, s.SnapshotName, s.Kind, s.EntryCount, s.BytesWritten, s.Method)) + "\n"
			})
		},
		ValidArgsFunction: a.completeIDs(nil, api.StateStarted),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) snapshotListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list WORKSPACE_ID",
		Short:   "show the states that a workspace can go back to",
		Long:    `Shows a line for the baseline and for each snapshot, the newest first.`,
		Example: "  pyro workspace snapshot list 0123456789ab\n  pyro workspace snapshot list 0123456789ab --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := awaitOf(cmd.Context(), a, "workspace-snapshot-list", args[0], func(ctx context.Context, ws workspace) (*api.SnapshotList, error) {
				return ws.Snapshots(ctx)
			})
			if err != nil {
				return err
			}
			return a.show(list, func() string { return snapshotLines(list) })
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func snapshotLines(list *api.SnapshotList) string {
	p := &page{}
	for _, s := range list.Snapshots {
		p.line("%s [%s] entry_count=%d bytes_written=%d deletable=%s created_at=%s", s.SnapshotName, s.Kind, s.EntryCount, s.BytesWritten, yesNo(s.Deletable), s.CreatedAt)
	}
	return p.String()
}

func (a *app) snapshotDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete WORKSPACE_ID NAME",
		Short:   "remove a snapshot",
		Long:    `Removes a snapshot for good. The workspace stays as it is, and other snapshots do.`,
		Example: "  pyro workspace snapshot delete 0123456789ab green",
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.TrimSpace(args[1])
			if err := api.CheckSnapshotName(name); err != nil {
				return err
			}
			gone, err := awaitOf(cmd.Context(), a, "workspace-snapshot-delete", args[0], func(ctx context.Context, ws workspace) (*api.SnapshotDelete, error) {
				return ws.DeleteSnapshot(ctx, name)
			})
			if err != nil {
				return err
			}
			return a.show(gone, func() string { return oneLine("Deleted workspace snapshot: "+gone.SnapshotName) + "\n" })
		},
		ValidArgsFunction: a.completeIDs(a.completeSnapshots),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

// completeSnapshots offers the snapshots of the workspace that is the last word before.
func (a *app) completeSnapshots(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completeThings(cmd, args, begun, func(ctx context.Context, ws workspace) []cobra.Completion {
		return statesOf(ctx, ws, func(s api.Snapshot) bool { return s.Deletable })
	})
}

// completeStates offers all states that a workspace, the first word, can go back to, as
// the value of an option.
func (a *app) completeStates(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completeThings(cmd, args, begun, func(ctx context.Context, ws workspace) []cobra.Completion {
		return statesOf(ctx, ws, func(api.Snapshot) bool { return true })
	})
}

func statesOf(ctx context.Context, ws workspace, fits func(api.Snapshot) bool) (found []cobra.Completion) {
	list, err := ws.Snapshots(ctx)
	if err != nil {
		return nil
	}
	for _, s := range list.Snapshots {
		if fits(s) {
			found = append(found, cobra.CompletionWithDesc(oneLine(s.SnapshotName), date(s.CreatedAt)))
		}
	}
	return found
}
