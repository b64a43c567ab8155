package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) workspaceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workspace",
		Short: "work in a sandbox that stays",
		Long: `A workspace is a sandbox with a disk that stays until it is deleted or its time
is over. Its project directory is /workspace. A stopped one keeps its disk.`,
		Example: `  id=$(pyro workspace create host --seed-path . --id-only)
  pyro workspace exec "$id" -- make test
  pyro workspace sync push "$id" .
  pyro workspace exec "$id" -- make test
  pyro workspace logs "$id" --last 1
  pyro workspace stop "$id"
  pyro workspace start "$id"
  pyro workspace delete "$id"`,
	}
	cmd.AddGroup(
		&cobra.Group{ID: groupLife, Title: "Its life:"},
		&cobra.Group{ID: groupWork, Title: "Work in it:"},
		&cobra.Group{ID: groupLook, Title: "Look at it:"},
	)
	cmd.AddCommand(
		a.createCommand(), a.startCommand(), a.stopCommand(), a.resetCommand(), a.forkCommand(), a.updateCommand(), a.deleteCommand(),
		a.execCommand(), a.shellCommand(), a.serviceCommand(), a.secretCommand(), a.syncCommand(),
		a.snapshotCommand(), a.fileCommand(), a.patchCommand(), a.exportCommand(), a.applyCommand(),
		a.listCommand(), a.statusCommand(), a.diffCommand(), a.logsCommand(), a.summaryCommand(), a.eventsCommand(), a.diskCommand(),
	)
	return cmd
}

// The groups that help shows the commands of a workspace in.
const (
	groupLife = "life"
	groupWork = "work"
	groupLook = "look"
)

func (a *app) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "show all workspaces, the last used first",
		GroupID: groupLook,
		Long:    `Shows a line for each workspace. One that cannot be read is shown as broken.`,
		Example: "  pyro workspace list\n  pyro workspace list --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.open(a.Environ)
			if err != nil {
				return err
			}
			list, err := await(cmd.Context(), a, "workspace-list", c.List)
			if err != nil {
				return err
			}
			return a.show(list, func() string { return workspaceLines(list) })
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status WORKSPACE_ID",
		Short:   "show one workspace",
		GroupID: groupLook,
		Long:    `Shows what a workspace is made of, its state, and its last command.`,
		Example: "  pyro workspace status 0123456789ab",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd.Context(), "workspace-status", "Workspace ID: ", args[0], func(ctx context.Context, ws workspace) (*api.Workspace, error) {
				return ws.Status(ctx)
			})
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) deleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete WORKSPACE_ID",
		Short:   "end a workspace and remove all of it",
		GroupID: groupLife,
		Long:    `Ends everything in a workspace and removes its disk. What was in it is lost.`,
		Example: "  pyro workspace delete 0123456789ab",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.openFor(args[0])
			if err != nil {
				return err
			}
			gone, err := await(cmd.Context(), a, "workspace-delete", func(ctx context.Context) (*api.WorkspaceDelete, error) {
				return c.Delete(ctx, args[0])
			})
			if err != nil {
				return err
			}
			return a.show(gone, func() string { return "Deleted workspace: " + oneLine(gone.WorkspaceID) + "\n" })
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

// openFor opens the client for a command about one workspace.
func (a *app) openFor(id string) (client, error) {
	if err := api.CheckID(id); err != nil {
		return nil, err
	}
	return a.open(a.Environ)
}

func (a *app) get(ctx context.Context, id string) (workspace, error) {
	c, err := a.openFor(id)
	if err != nil {
		return nil, err
	}
	return c.Get(ctx, id)
}

// awaitOf is await for a question to one workspace.
func awaitOf[T any](ctx context.Context, a *app, tag, id string, f func(context.Context, workspace) (T, error)) (T, error) {
	return await(ctx, a, tag, func(ctx context.Context) (T, error) {
		ws, err := a.get(ctx, id)
		if err != nil {
			var none T
			return none, err
		}
		return f(ctx, ws)
	})
}

// ask puts a question to a workspace and shows it as it is then; head stands before
// its id.
func (a *app) ask(ctx context.Context, tag, head, id string, f func(context.Context, workspace) (*api.Workspace, error)) error {
	now, err := awaitOf(ctx, a, tag, id, f)
	if err != nil {
		return err
	}
	return a.show(now, func() string { return workspaceBlock(head, now) })
}

// show prints an answer, for programs or for people.
func (a *app) show(v any, text func() string) error {
	if a.json {
		return a.printJSON(v)
	}
	return a.print(text())
}
