package cli

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) stopCommand() *cobra.Command {
	var req api.StopRequest
	cmd := &cobra.Command{
		Use:     "stop WORKSPACE_ID",
		Short:   "end what runs in a workspace and keep its disk",
		GroupID: groupLife,
		Long: `Ends all processes of a workspace and saves its disk, all of it and not only
/workspace. Start brings it back; until then it costs no memory. Its time to live
goes on.`,
		Example: "  pyro workspace stop 0123456789ab\n  pyro workspace stop 0123456789ab --discard",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd.Context(), "workspace-stop", "Stopped workspace ID: ", args[0], func(ctx context.Context, ws workspace) (*api.Workspace, error) {
				return ws.Stop(ctx, req)
			})
		},
		ValidArgsFunction: a.completeIDs(nil, api.StateStarted),
	}
	cmd.Flags().BoolVar(&req.Discard, "discard", false, "give up what was written since the disk was last saved")
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) startCommand() *cobra.Command {
	var req api.StartRequest
	cmd := &cobra.Command{
		Use:     "start WORKSPACE_ID",
		Short:   "start a stopped workspace from its saved disk",
		GroupID: groupLife,
		Long: `Starts a stopped workspace with the disk that it was stopped with. Processes do not
come back. One that runs is left alone. If the saved disk turns out to be damaged,
--previous starts from the one before it: that of the last start, or else the seed.`,
		Example: "  pyro workspace start 0123456789ab\n  pyro workspace start 0123456789ab --previous",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.openFor(args[0])
			if err != nil {
				return err
			}
			started, err := await(cmd.Context(), a, "workspace-start", func(ctx context.Context) (*api.Workspace, error) {
				return c.StartStopped(ctx, args[0], req)
			})
			if err != nil {
				return err
			}
			a.warn(started)
			return a.show(started, func() string { return workspaceBlock("Started workspace ID: ", started) })
		},
		ValidArgsFunction: a.completeIDs(nil, api.StateStopped),
	}
	cmd.Flags().BoolVar(&req.AllowHostCompat, "allow-host-compat", false, "consent to run without isolation, for a workspace that was made so")
	cmd.Flags().BoolVar(&req.Previous, "previous", false, "give up the newest saved disk for the one before it")
	a.jsonFlag(cmd.Flags())
	return cmd
}

// changes is what workspace update was told.
type changes struct {
	name        string
	clearName   bool
	labels      []string
	clearLabels []string
	ttl         lifespan
}

func (a *app) updateCommand() *cobra.Command {
	var c changes
	cmd := &cobra.Command{
		Use:     "update WORKSPACE_ID",
		Short:   "change a workspace's name, labels or time to live",
		GroupID: groupLife,
		Long: `Changes what a workspace is called and how long it lives. Labels are set beside
those that are there; --clear-label removes one, and comes last.`,
		Example: `  pyro workspace update 0123456789ab --name review --label task=43
  pyro workspace update 0123456789ab --clear-name --clear-label task
  pyro workspace update 0123456789ab --ttl-seconds 3600`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := c.request(cmd)
			if err != nil {
				return err
			}
			return a.ask(cmd.Context(), "workspace-update", "Workspace ID: ", args[0], func(ctx context.Context, ws workspace) (*api.Workspace, error) {
				return ws.Update(ctx, req)
			})
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	f := cmd.Flags()
	f.Var(textValue{&c.name, "NAME"}, "name", "what to know it by, up to 120 characters")
	f.BoolVar(&c.clearName, "clear-name", false, "take its name away")
	f.Var(listValue{&c.labels, "KEY=VALUE"}, "label", "set a label; may be given again")
	f.Var(listValue{&c.clearLabels, "KEY"}, "clear-label", "remove a label; may be given again")
	f.Var(&c.ttl, "ttl-seconds", ttlUsage("time to live from now on"))
	a.jsonFlag(f)
	return cmd
}

// request refuses what can be refused without a look at the workspace.
func (c *changes) request(cmd *cobra.Command) (req api.UpdateRequest, err error) {
	changed := cmd.Flags().Changed
	switch {
	case changed("name") && c.clearName:
		return req, misuse(cmd, "argument --clear-name: not allowed with argument --name")
	case !changed("name") && !c.clearName && len(c.labels)+len(c.clearLabels) == 0 && !c.ttl.given:
		return req, invalid("nothing to change was given", "`%s --help` shows what can be changed", cmd.CommandPath())
	}
	req.ClearName = c.clearName
	if changed("name") {
		name := strings.TrimSpace(c.name)
		if name == "" {
			return req, invalid("name must not be empty", "--clear-name takes a name away")
		}
		req.Name = &name
	}
	for _, key := range c.clearLabels {
		key = strings.TrimSpace(key)
		if key == "" {
			return req, invalid("label key must not be empty", "for example --clear-label task")
		}
		req.ClearLabels = append(req.ClearLabels, key)
	}
	if req.Labels, err = parseLabels(c.labels); err != nil {
		return req, err
	}
	if req.TTLSeconds, err = c.ttl.seconds(); err != nil {
		return req, err
	}
	return req, cmp.Or(api.CheckName(strings.TrimSpace(c.name)), api.CheckLabels(req.Labels))
}
