package cli

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

// creation is what workspace create was told.
type creation struct {
	req    api.CreateRequest
	ttl    lifespan
	seed   seeding
	given  given
	labels []string
	idOnly bool
}

func (a *app) createCommand() *cobra.Command {
	n := creation{req: api.CreateRequest{NetworkPolicy: api.NetworkOff}}
	cmd := &cobra.Command{
		Use:     "create ENVIRONMENT",
		Short:   "make a workspace and start it",
		GroupID: groupLife,
		Long: `Makes a workspace, starts it, and shows it. Its id is what all other commands take.
With --seed-path a directory or a tar archive (plain, or compressed with gzip, zstd,
xz or bzip2) lies in /workspace before the first command, with its modes, times and
links. What git ignores and .git come along, unless they are left out. With --repo-url
it is a git repository with the history of the branch, tag or commit, fetched by this
machine's git, since workspaces have no network of their own.

Secrets are files of /run/pyro-secrets in the guest, and environment variables of the
commands that are given them by --secret-env. Other processes of this machine can
see the value after --secret, and not those that the other three fetch.`,
		Example: `  pyro workspace create host
  pyro workspace create host --seed-path . --gitignore
  pyro workspace create host --repo-url https://example.org/project.git --repo-ref v1.0
  pyro workspace create host --name tests --label task=42 --ttl-seconds 3600
  pyro workspace create host --seed-path src.tar.gz --exclude '*.log' --id-only
  pyro workspace create host --secret-from-env GITHUB_TOKEN --secret-command 'DB=pass show db'`,
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
	resourceFlags(cmd, &n.req, &n.ttl)
	n.seed.flags(f)
	policies := []string{api.NetworkOff, api.NetworkEgress, api.NetworkEgressPublishedPorts}
	f.Var(choiceValue{&n.req.NetworkPolicy, "POLICY", policies}, "network-policy", "off (the only one available yet), egress or egress+published-ports")
	f.Var(textValue{&n.req.Name, "NAME"}, "name", "what to know it by, up to 120 characters")
	f.Var(listValue{&n.labels, "KEY=VALUE"}, "label", "a label; may be given again")
	n.given.flags(f)
	intFlag(f, &n.req.IdleSeconds, "idle-seconds", "SECONDS", 0, "stop it, disk saved, when unused for so long, 1 second or more; 0: never")
	yield(f, "idle-seconds") // --id has always been --id-only
	f.BoolVar(&n.idOnly, "id-only", false, "print the id and nothing else")
	a.jsonFlag(f)
	_ = cmd.RegisterFlagCompletionFunc("network-policy", cobra.FixedCompletions(policies, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) create(cmd *cobra.Command, n creation) error {
	const tag = "workspace-create"
	seed, err := n.check(cmd)
	if err != nil {
		return err
	}
	if n.req.Secrets, err = a.gather(cmd.Context(), tag, n.given); err != nil {
		return err
	}
	c, err := a.open(a.Environ)
	if err != nil {
		return err
	}
	ws, err := a.make(cmd.Context(), tag, seed, func(ctx context.Context) (workspace, error) {
		return c.Create(ctx, n.req, seed, untilDeleted)
	})
	switch {
	case err != nil:
		return err
	case n.idOnly:
		return a.print(oneLine(ws.Seen().WorkspaceID) + "\n")
	}
	return a.show(ws.Seen(), func() string { return workspaceBlock("Workspace ID: ", ws.Seen()) })
}

// check completes the request, and refuses what no sandbox needs to be made for.
func (n *creation) check(cmd *cobra.Command) (*source, error) {
	labels, err := parseLabels(n.labels)
	if err != nil {
		return nil, err
	}
	n.req.Labels = labels
	n.req.Name = strings.TrimSpace(n.req.Name)
	if cmd.Flags().Changed("name") && n.req.Name == "" {
		return nil, invalid("name must not be empty", "leave --name out for a workspace without one")
	}
	return checkRequest(cmd, &n.req, n.ttl, n.seed)
}

// checkRequest is what run and workspace create refuse alike. It returns the seed,
// or nil where there is to be none.
func checkRequest(cmd *cobra.Command, req *api.CreateRequest, ttl lifespan, seed seeding) (*source, error) {
	from, err := seed.source(cmd)
	if err != nil {
		return nil, err
	}
	if req.TTLSeconds, err = ttl.seconds(); err != nil {
		return nil, err
	}
	return from, cmp.Or(checkZeros(cmd, req), checkNetwork(req.NetworkPolicy), req.Check())
}

// make makes a workspace and says what its user has to know about it.
func (a *app) make(ctx context.Context, tag string, seed *source, create func(context.Context) (workspace, error)) (workspace, error) {
	p := a.newProgress(tag)
	if seed != nil {
		seed.Progress = p.tell("seed")
	}
	ws, err := awaitWith(ctx, a, tag, p, create)
	if err != nil {
		return nil, err
	}
	a.warn(ws.Seen())
	if n := ws.Seen().WorkspaceSeed.SkippedCount; n > 0 {
		a.phase("[%s] skipped_count=%d: FIFOs, sockets and devices are not in the seed", tag, n)
	}
	return ws, nil
}

// warn tells people, before anything is run, what does not protect them.
func (a *app) warn(w *api.Workspace) {
	if a.warnUnisolated(w); w.ExecutionMode == api.ModeHostCompat {
		return // which says it all
	}
	if why := w.Limits.Why; !w.Limits.Enforced && why != nil {
		a.phase("[warning] limits are not enforced: %s", *why)
	}
}

// warnUnisolated is said with --json too: who reads it is a person, sooner or later.
func (a *app) warnUnisolated(w *api.Workspace) {
	if w.ExecutionMode == api.ModeHostCompat {
		a.say("[warning] host-compat: no isolation: commands run on this machine as you")
	}
}
