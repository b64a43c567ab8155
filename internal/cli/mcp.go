package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

// MCP is the server for agents, handed in like Doctor: the command line and it are faces
// beside each other.
type MCP struct {
	Profiles, Modes []string
	Hidden          []string // profiles that are taken, and that help does not name
	Serve           func(context.Context, MCPServe) error
}

// MCPServe is what a server was asked for. Empty texts are the defaults.
type MCPServe struct {
	Profile, Mode    string
	ProjectPath      string
	RepoURL, RepoRef string
	NoProject        bool   // do not look for a project either
	URL              string // of the server that has the workspaces; empty: this machine has them

	HTTP      bool // else stdio
	Listen    string
	TokenFile string
	NoAuth    bool
}

func (a *app) mcpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "serve coding agents over the Model Context Protocol",
		Long: `Speaks the Model Context Protocol, by which coding agents find and call tools: hosts
such as Claude Code, Codex, OpenCode and Gemini CLI start it by themselves.`,
		Example: "  claude mcp add pyro -- pyro mcp serve\n  codex mcp add pyro -- pyro mcp serve --profile workspace-full",
	}
	cmd.AddCommand(a.mcpServeCommand())
	return cmd
}

func (a *app) mcpServeCommand() *cobra.Command {
	s := MCPServe{Listen: "127.0.0.1:0"}
	transport := "stdio"
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "serve tools on stdio, or over HTTP",
		Long: `Serves tools until the input ends or a signal comes. Nothing is made before the first
call of a tool. A profile says which tools there are; a mode is a profile for one job.

Workspaces that a call gives no seed hold the project: that of --project-path, a clone
of --repo-url, or the git checkout that the server was started in.

Over HTTP it serves http://ADDRESS/mcp. Who calls it must show a token: that of
--token-file or PYRO_MCP_TOKEN, else one that is made up and printed. Without one
anybody who reaches the address can run commands: --no-auth is for loopback alone.`,
		Example: `  pyro mcp serve
  pyro mcp serve --profile workspace-full --project-path .
  pyro mcp serve --mode repro-fix
  pyro mcp serve --transport http --listen 127.0.0.1:8765`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.HTTP = transport == "http"
			return a.serveMCP(cmd, s)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	a.serveFlags(cmd, &s)
	f.Var(choiceValue{&transport, "TRANSPORT", []string{"stdio", "http"}}, "transport", "stdio or http")
	f.Var(textValue{&s.Listen, "ADDRESS"}, "listen", "of http: the address and port; port 0 is any free one")
	f.Var(pathValue{&s.TokenFile, "FILE"}, "token-file", "of http: a file with the token")
	f.BoolVar(&s.NoAuth, "no-auth", false, "of http: let every program of this machine in")
	_ = cmd.RegisterFlagCompletionFunc("transport", cobra.FixedCompletions([]string{"stdio", "http"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// serveFlags say what is served, and are the same for whoever arranges that it is.
func (a *app) serveFlags(cmd *cobra.Command, s *MCPServe) {
	f := cmd.Flags()
	f.Var(profileValue{choiceValue{&s.Profile, "PROFILE", a.MCP.Profiles}, a.MCP.Hidden}, "profile", strings.Join(a.MCP.Profiles, ", ")+"; workspace-core unless given")
	f.Var(choiceValue{&s.Mode, "MODE", a.MCP.Modes}, "mode", strings.Join(a.MCP.Modes, ", "))
	f.Var(pathValue{&s.ProjectPath, "PATH"}, "project-path", "seed workspaces with this directory or archive")
	f.Var(textValue{&s.RepoURL, "URL"}, "repo-url", "seed workspaces with a clone of this git repository")
	f.Var(textValue{&s.RepoRef, "REF"}, "repo-ref", "of --repo-url: a branch, tag or commit")
	f.BoolVar(&s.NoProject, "no-project-source", false, "seed workspaces with nothing unless a call says so")
	for flag, choices := range map[string][]string{"profile": a.MCP.Profiles, "mode": a.MCP.Modes} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	}
}

// profileValue is a choice that takes more than it names.
type profileValue struct {
	choiceValue
	hidden []string
}

// Set implements pflag.Value.
func (v profileValue) Set(s string) error {
	if slices.Contains(v.hidden, s) {
		*v.value = s
		return nil
	}
	return v.choiceValue.Set(s)
}

// exclusive are options of mcp serve that do not go together.
var exclusive = [][]string{{"profile", "mode"}, {"project-path", "repo-url", "no-project-source"}, {"token-file", "no-auth"}}

// checkServe refuses what does not go together.
func checkServe(cmd *cobra.Command) error {
	given := cmd.Flags().Changed
	for _, group := range exclusive {
		together := slices.DeleteFunc(slices.Clone(group), func(name string) bool { return !given(name) })
		if len(together) > 1 {
			return misuse(cmd, "argument --%s: not allowed with argument --%s", together[1], together[0])
		}
	}
	if given("repo-ref") && !given("repo-url") {
		return misuse(cmd, "argument --repo-ref: not allowed without argument --repo-url")
	}
	return nil
}

func (a *app) serveMCP(cmd *cobra.Command, s MCPServe) error {
	if err := checkServe(cmd); err != nil {
		return err
	}
	given := cmd.Flags().Changed
	for _, name := range []string{"listen", "token-file", "no-auth"} {
		if given(name) && !s.HTTP {
			return misuse(cmd, "argument --%s: not allowed without argument --transport http", name)
		}
	}
	if a.MCP.Serve == nil {
		return &api.Error{Kind: api.Unsupported, Op: "serve MCP", Hint: "run it where sandboxes run"}
	}
	s.URL = a.server()
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	go func() { // ends with the command
		select {
		case <-a.Signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return a.MCP.Serve(ctx, s)
}
