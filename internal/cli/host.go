package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

// Hosts are the chat hosts of this machine, handed in like Doctor.
type Hosts struct {
	Names  []string
	Config func(api.HostRequest) (*api.HostConfig, error)
	Doctor func(context.Context, api.HostRequest) (*api.HostDoctor, error)

	// Plan says what an action, connect, disconnect or repair, would change, and returns the
	// way to do it; nil: there is nothing to do.
	Plan func(action string, req api.HostRequest) (*api.HostChange, func(context.Context) error, error)
}

func (a *app) hostCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "host",
		Short: "connect coding agents and editors with pyro",
		Long: `A host is a program that starts ` + "`pyro mcp serve`" + ` by itself and lets its model use it:
` + hostList(a.Hosts.Names) + `

Hosts read from a file of theirs which servers there are. These commands show what they
would change in it, ask, keep a copy of it, and leave all else in it as it is.`,
		Example: "  pyro host connect claude-code\n  pyro host doctor\n  pyro host disconnect claude-code",
	}
	cmd.AddCommand(
		a.hostChangeCommand("connect", "let a host use pyro", `Names pyro in the settings of a host. Where the host has a command for that and can be
found, that command is run; else its file is written, with all that is in it left alone.
What was connected already stays as it is.`, true,
			"pyro host connect claude-code\n  pyro host connect codex --profile workspace-full --yes\n  pyro host connect vscode --scope project --command pyro"),
		a.hostChangeCommand("disconnect", "take pyro out of the settings of a host", `Takes out what connect put in, and nothing else. If nothing was changed since, the file
is what it was before, to the byte.`, false,
			"pyro host disconnect claude-code\n  pyro host disconnect codex --yes"),
		a.hostConfigCommand(), a.hostDoctorCommand(),
		a.hostChangeCommand("repair", "put right what doctor found in the settings of a host", `Makes the settings of a host what connect would make them. Options that the server is
started with stay as they are unless others are given; another server that goes by the
name of pyro is replaced.`, true,
			"pyro host repair codex\n  pyro host repair cursor --scope project --yes"),
	)
	return cmd
}

func hostList(names []string) string {
	if len(names) == 0 {
		return "none is known here."
	}
	return strings.Join(names, ", ") + "."
}

// hostOptions are those of the commands about hosts.
type hostOptions struct {
	serve          MCPServe
	scope, command string
	yes            bool
}

func (o *hostOptions) flags(a *app, cmd *cobra.Command, serving bool) {
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(choiceValue{&o.scope, "SCOPE", api.HostScopes}, "scope", "user: everywhere; project: here, for all; local: here, for me; user unless given")
	_ = cmd.RegisterFlagCompletionFunc("scope", cobra.FixedCompletions(api.HostScopes, cobra.ShellCompDirectiveNoFileComp))
	if serving {
		f.Var(pathValue{&o.command, "PROGRAM"}, "command", "what the host is to start; this pyro, by its full path, unless given")
		a.serveFlags(cmd, &o.serve)
	}
}

// request is what was typed. Hosts start servers anywhere, so paths are made absolute.
func (o *hostOptions) request(cmd *cobra.Command, host string) (api.HostRequest, error) {
	req := api.HostRequest{Host: host, Scope: o.scope, Command: o.command}
	if err := checkServe(cmd); err != nil {
		return req, err
	}
	if strings.ContainsRune(o.command, filepath.Separator) && !filepath.IsAbs(o.command) {
		return req, invalid("--command "+quote(o.command)+" is a relative path", "give the full path, or a name to be found in PATH")
	}
	s := o.serve
	if s.ProjectPath != "" && !strings.HasPrefix(s.ProjectPath, "${") { // an editor's variable is for the editor
		path, err := filepath.Abs(s.ProjectPath)
		if err != nil {
			return req, invalid(err.Error(), "give the full path")
		}
		if _, err := os.Stat(path); err != nil {
			return req, &api.Error{Kind: api.NotFound, Hint: "name a directory or an archive", Err: fmt.Errorf("there is no project %s", path)}
		}
		s.ProjectPath = path
	}
	for _, option := range [][2]string{{"profile", s.Profile}, {"mode", s.Mode}, {"project-path", s.ProjectPath}, {"repo-url", s.RepoURL}, {"repo-ref", s.RepoRef}} {
		if option[1] != "" {
			req.Serve = append(req.Serve, "--"+option[0], option[1])
		}
	}
	if s.NoProject {
		req.Serve = append(req.Serve, "--no-project-source")
	}
	return req, nil
}

// theHost reads the one argument HOST.
func (a *app) theHost(cmd *cobra.Command, args []string) (string, error) {
	switch {
	case a.Hosts.Plan == nil:
		return "", &api.Error{Kind: api.Unsupported, Op: "host", Hint: "run it where the hosts are"}
	case len(args) == 0:
		return "", misuse(cmd, "the following arguments are required: HOST")
	case !slices.Contains(a.Hosts.Names, args[0]):
		return "", misuse(cmd, "argument HOST: invalid choice: %s (choose from %s)", quote(args[0]), quoteAll(a.Hosts.Names))
	case len(args) > 1:
		return "", misuse(cmd, "unrecognized arguments: %s", quoteAll(args[1:]))
	}
	return args[0], nil
}

func (a *app) completeHosts(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.Hosts.Names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) hostChangeCommand(action, short, long string, serving bool, examples string) *cobra.Command {
	o := &hostOptions{}
	cmd := &cobra.Command{
		Use: action + " HOST", Short: short, Long: long, Example: "  " + examples,
		RunE: func(cmd *cobra.Command, args []string) error {
			host, err := a.theHost(cmd, args)
			if err != nil {
				return err
			}
			req, err := o.request(cmd, host)
			if err != nil {
				return err
			}
			return a.changeHost(cmd.Context(), action, req, o.yes)
		},
		ValidArgsFunction: a.completeHosts,
	}
	o.flags(a, cmd, serving)
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "make the change without asking")
	a.jsonFlag(cmd.Flags())
	return cmd
}

// changeHost shows a change, asks, and makes it.
func (a *app) changeHost(ctx context.Context, action string, req api.HostRequest, yes bool) error {
	change, apply, err := a.Hosts.Plan(action, req)
	if err != nil {
		return err
	}
	if apply != nil {
		if err := a.agree(ctx, change, yes); err != nil {
			return err
		}
		if _, err := await(ctx, a, "host "+action, func(ctx context.Context) (bool, error) { return true, apply(ctx) }); err != nil {
			return err
		}
	}
	return a.show(change, func() string { return hostChangePage(change) })
}

// agree shows a change that is not in the answer, and returns nil if it is to be made.
func (a *app) agree(ctx context.Context, change *api.HostChange, yes bool) error {
	if !a.json {
		if len(change.Run) > 0 {
			a.say("[host] runs: %s", api.Quote(change.Run))
		}
		for line := range strings.Lines(change.Diff) {
			a.say("%s", strings.TrimRight(line, "\r\n"))
		}
	}
	if yes {
		return nil
	}
	if _, ok := a.sit(a.Stdin); !ok || a.json {
		return invalid("nobody is there to agree to the change", "--yes makes it; without a terminal nothing is changed otherwise")
	}
	ok, err := a.confirm(ctx, "Make this change? [y/N] ")
	if err == nil && !ok {
		err = &api.Error{Kind: api.Canceled, Op: "host " + change.Action, ID: change.Host, Err: errNotAgreed}
	}
	return err
}

// errNotAgreed is an answer.
var errNotAgreed = fmt.Errorf("nothing was changed")

// confirm asks a question at the terminal. Whatever is not a yes is a no.
func (a *app) confirm(ctx context.Context, question string) (bool, error) {
	_, _ = io.WriteString(a.Stderr, question)
	answered := make(chan string, 1)
	go func() { // ends with the line, or with the process
		line, _ := bufio.NewReader(a.Stdin).ReadString('\n')
		answered <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case answer := <-answered:
		return answer == "y" || answer == "yes", nil
	case s := <-a.Signals:
		_, code := signalOf(s)
		_, _ = io.WriteString(a.Stderr, "\n")
		return false, &leaving{code: code, cause: &api.Error{Kind: api.Canceled, Op: "host", Err: errNotAgreed}}
	case <-ctx.Done():
		return false, &api.Error{Kind: api.Canceled, Err: ctx.Err()}
	}
}

func hostChangePage(c *api.HostChange) string {
	p := &page{}
	where := fmt.Sprintf("%s (%s, %s)", c.Host, c.Scope, c.Path)
	head := map[string][2]string{
		"connect":    {"Already connected", "Connected"},
		"disconnect": {"Not connected", "Disconnected"},
		"repair":     {"Nothing to repair", "Repaired"},
	}[c.Action]
	if c.Changed {
		p.line("%s: %s", head[1], where)
	} else {
		p.line("%s: %s", head[0], where)
	}
	if c.Entry != nil {
		p.line("Command: %s", api.Quote(c.Entry.Command))
	}
	p.optional("Backup", c.Backup)
	if c.Note != "" {
		p.line("Note: %s", c.Note)
	}
	return p.String()
}

func (a *app) hostConfigCommand() *cobra.Command {
	o := &hostOptions{}
	cmd := &cobra.Command{
		Use:   "print-config HOST",
		Short: "print what to write into the settings of a host",
		Long: `Prints the server as the host's file of settings would name it, and on stderr where
that file lies, and the host's own command that does the same if it has one. Nothing is
changed.`,
		Example: "  pyro host print-config opencode\n  pyro host print-config codex --mode repro-fix",
		RunE: func(cmd *cobra.Command, args []string) error {
			host, err := a.theHost(cmd, args)
			if err != nil {
				return err
			}
			req, err := o.request(cmd, host)
			if err != nil {
				return err
			}
			c, err := a.Hosts.Config(req)
			if err != nil {
				return err
			}
			if !a.json {
				a.say("[host] file: %s", c.Path)
				if len(c.Run) > 0 {
					a.say("[host] or run: %s", api.Quote(c.Run))
				}
			}
			return a.show(c, func() string { return c.Snippet })
		},
		ValidArgsFunction: a.completeHosts,
	}
	o.flags(a, cmd, true)
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) hostDoctorCommand() *cobra.Command {
	o := &hostOptions{}
	cmd := &cobra.Command{
		Use:   "doctor [HOST]",
		Short: "show which hosts there are, and whether pyro works in them",
		Long: `Looks at each host: whether it is installed, and what it runs as pyro. A server that is
named is started and asked for its tools; what a project brings along is not. With
options of the server it also says where others are in force.

The exit code is 1 if something that is connected does not work, else 0.`,
		Example: "  pyro host doctor\n  pyro host doctor codex --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			host := ""
			if len(args) > 0 || a.Hosts.Plan == nil {
				var err error
				if host, err = a.theHost(cmd, args); err != nil {
					return err
				}
			}
			req, err := o.request(cmd, host)
			if err != nil {
				return err
			}
			found, err := await(cmd.Context(), a, "host doctor", func(ctx context.Context) (*api.HostDoctor, error) {
				return a.Hosts.Doctor(ctx, req)
			})
			if err != nil {
				return err
			}
			if err := a.show(found, func() string { return hostDoctorPage(found) }); err != nil || found.OK {
				return err
			}
			return errUnsound
		},
		ValidArgsFunction: a.completeHosts,
	}
	o.flags(a, cmd, true)
	a.jsonFlag(cmd.Flags())
	return cmd
}

func hostDoctorPage(d *api.HostDoctor) string {
	p := &page{}
	for _, h := range d.Hosts {
		there := "not installed"
		if h.Installed {
			there = "installed"
		}
		for _, place := range h.Places {
			p.hostPlace(h, there, place)
		}
	}
	return p.String()
}

func (p *page) hostPlace(h api.HostInfo, there string, place api.HostPlace) {
	if place.State == api.HostAbsent {
		p.line("%s: %s, not connected", h.Host, there)
		return
	}
	p.line("%s: %s, %s (%s, %s)", h.Host, there, place.State, place.Scope, place.Path)
	if place.Entry != nil {
		p.line("  command: %s", api.Quote(place.Entry.Command))
	}
	if s := place.Server; s != nil {
		p.line("  answers: pyro %s, %d tools", s.Version, s.Tools)
	}
	p.optional("  reason", place.Reason)
	p.optional("  next", place.Next)
}
