package cli

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) workspaceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workspace",
		Short: "work in a sandbox that stays",
		Long: `A workspace is a sandbox with a disk that stays until it is deleted or its time
is over. Its project directory is /workspace.`,
		Example: `  id=$(pyro workspace create host --id-only)
  pyro workspace exec "$id" -- sh -c 'echo hello >note'
  pyro workspace exec "$id" -- cat note
  pyro workspace delete "$id"`,
	}
	cmd.AddCommand(a.createCommand(), a.listCommand(), a.statusCommand(), a.execCommand(), a.deleteCommand())
	return cmd
}

// creation is what workspace create was told.
type creation struct {
	req    api.CreateRequest
	labels []string
	idOnly bool
}

func (a *app) createCommand() *cobra.Command {
	n := creation{req: api.CreateRequest{NetworkPolicy: api.NetworkOff}}
	cmd := &cobra.Command{
		Use:   "create ENVIRONMENT",
		Short: "make a workspace and start it",
		Long:  `Makes a workspace, starts it, and shows it. Its id is what all other commands take.`,
		Example: `  pyro workspace create host
  pyro workspace create host --name tests --label task=42 --ttl-seconds 3600
  pyro workspace create host --id-only`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.json && n.idOnly {
				return misuse(cmd, "argument --id-only: not allowed with argument --json")
			}
			n.req.Environment = args[0]
			return a.create(cmd, n)
		},
		ValidArgsFunction: completeEnvironment,
	}
	f := cmd.Flags()
	resourceFlags(f, &n.req)
	policies := []string{api.NetworkOff, api.NetworkEgress, api.NetworkEgressPublishedPorts}
	f.Var(choiceValue{&n.req.NetworkPolicy, "POLICY", policies}, "network-policy", "off (the only one available yet), egress or egress+published-ports")
	f.Var(textValue{&n.req.Name, "NAME"}, "name", "what to know it by, up to 120 characters")
	f.Var(listValue{&n.labels, "KEY=VALUE"}, "label", "a label; may be given again")
	f.BoolVar(&n.idOnly, "id-only", false, "print the id and nothing else")
	a.jsonFlag(f)
	_ = cmd.RegisterFlagCompletionFunc("network-policy", cobra.FixedCompletions(policies, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) create(cmd *cobra.Command, n creation) error {
	labels, err := parseLabels(n.labels)
	if err != nil {
		return err
	}
	n.req.Labels = labels
	n.req.Name = strings.TrimSpace(n.req.Name)
	if cmd.Flags().Changed("name") && n.req.Name == "" {
		return invalid("name must not be empty", "leave --name out for a workspace without one")
	}
	if err := cmp.Or(checkNetwork(n.req.NetworkPolicy), n.req.Check()); err != nil {
		return err
	}
	c, err := a.open(a.Environ)
	if err != nil {
		return err
	}
	ws, err := await(cmd.Context(), a, "workspace-create", func(ctx context.Context) (workspace, error) {
		return c.Create(ctx, n.req, untilDeleted)
	})
	switch {
	case err != nil:
		return err
	case n.idOnly:
		return a.print(oneLine(ws.Seen().WorkspaceID) + "\n")
	}
	return a.show(ws.Seen(), func() string { return workspaceBlock("Workspace ID: ", ws.Seen()) })
}

func (a *app) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "show all workspaces, the last used first",
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
		Long:    `Shows what a workspace is made of, its state, and its last command.`,
		Example: "  pyro workspace status 0123456789ab",
		RunE: func(cmd *cobra.Command, args []string) error {
			status, err := await(cmd.Context(), a, "workspace-status", func(ctx context.Context) (*api.Workspace, error) {
				ws, err := a.get(ctx, args[0])
				if err != nil {
					return nil, err
				}
				return ws.Status(ctx)
			})
			if err != nil {
				return err
			}
			return a.show(status, func() string { return workspaceBlock("Workspace ID: ", status) })
		},
		ValidArgsFunction: a.completeID,
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) deleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete WORKSPACE_ID",
		Short:   "end a workspace and remove all of it",
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
		ValidArgsFunction: a.completeID,
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) execCommand() *cobra.Command {
	var e execution
	cmd := &cobra.Command{
		Use:   "exec WORKSPACE_ID [--] COMMAND...",
		Short: "run a command in a workspace",
		Long: `Runs a command in /workspace and shows its output as it comes. The words after --
are the command and its arguments; for a shell line write sh -c '…'.`,
		Example: `  pyro workspace exec 0123456789ab -- ls -la
  pyro workspace exec 0123456789ab --timeout-seconds 600 -- sh -c 'make 2>&1 | tail'
  tar c src | pyro workspace exec 0123456789ab -i -- tar x`,
		Annotations: guestCodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			e.argv = args[1:]
			if err := e.check(cmd, args[0]); err != nil {
				return err
			}
			return a.exec(cmd.Context(), args[0], e)
		},
		ValidArgsFunction: a.completeID,
	}
	e.flags(cmd.Flags())
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) exec(ctx context.Context, id string, e execution) error {
	const tag = "workspace-exec"
	ws, err := await(ctx, a, tag, func(ctx context.Context) (workspace, error) { return a.get(ctx, id) })
	if err != nil {
		return err
	}
	r, err := a.execute(ctx, tag, ws, e)
	switch {
	case err != nil:
		return err
	case a.json:
		return ended(r, a.printJSON(r))
	}
	a.truncation(tag, r)
	a.say("[%s] workspace_id=%s sequence=%d cwd=%s execution_mode=%s exit_code=%d duration_ms=%d",
		tag, r.WorkspaceID, r.Sequence, r.Cwd, r.ExecutionMode, r.ExitCode, r.DurationMS)
	return ended(r, nil)
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

// show prints an answer, for programs or for people.
func (a *app) show(v any, text func() string) error {
	if a.json {
		return a.printJSON(v)
	}
	return a.print(text())
}
