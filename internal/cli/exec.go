package cli

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) execCommand() *cobra.Command {
	var (
		e   execution
		env secretEnv
	)
	cmd := &cobra.Command{
		Use:     "exec WORKSPACE_ID [--] COMMAND...",
		Short:   "run a command in a workspace",
		GroupID: groupWork,
		Long: `Runs a command in /workspace and shows its output as it comes. The words after --
are the command and its arguments; for a shell line write sh -c '…'.`,
		Example: `  pyro workspace exec 0123456789ab -- ls -la
  pyro workspace exec 0123456789ab --timeout-seconds 600 -- sh -c 'make 2>&1 | tail'
  tar c src | pyro workspace exec 0123456789ab -i -- tar x
  pyro workspace exec 0123456789ab -it -- bash
  pyro workspace exec 0123456789ab --secret-env TOKEN -- ./deploy`,
		Annotations: guestCodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			e.argv = args[1:]
			err := cmp.Or(e.check(cmd, args[0]), a.canSit(e))
			if err != nil {
				return err
			}
			if e.secretEnv, err = env.names(); err != nil {
				return err
			}
			return a.exec(cmd.Context(), args[0], e)
		},
		ValidArgsFunction: a.completeIDs(nil, api.StateStarted),
	}
	e.flags(cmd.Flags())
	env.flag(cmd.Flags())
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) exec(ctx context.Context, id string, e execution) error {
	const tag = "workspace-exec"
	ws, err := await(ctx, a, tag, func(ctx context.Context) (workspace, error) { return a.get(ctx, id) })
	if err != nil {
		return err
	}
	a.warnUnisolated(ws.Seen())
	r, err := a.execute(ctx, tag, ws, e)
	switch {
	case err != nil:
		return err
	case a.json:
		return ended(r, a.printJSON(r))
	}
	a.remarks(tag, r, e)
	a.say("[%s] workspace_id=%s sequence=%d cwd=%s execution_mode=%s exit_code=%d duration_ms=%d",
		tag, r.WorkspaceID, r.Sequence, r.Cwd, r.ExecutionMode, r.ExitCode, r.DurationMS)
	return ended(r, nil)
}
