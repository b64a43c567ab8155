package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) serviceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "service",
		Short:   "run programs that outlive the command that started them",
		GroupID: groupWork,
		Long: `A service is a program that runs in a workspace until it ends by itself, is stopped,
or the workspace stops. Its start returns when it is ready, and says why where it
does not become that. A published port of it can be reached on this machine, without
any network in the workspace.`,
		Example: `  pyro workspace service start 0123456789ab web --ready-tcp 127.0.0.1:80 --publish 8080:80 -- ./server
  curl http://127.0.0.1:8080/
  pyro workspace service logs 0123456789ab web --follow
  pyro workspace service stop 0123456789ab web`,
	}
	cmd.AddCommand(
		a.serviceStartCommand(), a.serviceListCommand(), a.serviceStatusCommand(), a.serviceLogsCommand(),
		a.serviceStopCommand(), a.serviceRestartCommand(),
	)
	return cmd
}

// start is what workspace service start was told.
type start struct {
	req     api.ServiceStartRequest
	ready   readiness
	env     secretEnv
	publish []string
	fail    bool
}

func (a *app) serviceStartCommand() *cobra.Command {
	var s start
	cmd := &cobra.Command{
		Use:   "start WORKSPACE_ID SERVICE_NAME [--] COMMAND...",
		Short: "start a service and wait until it is ready",
		Long: `Starts a service and returns when it is ready: at once, or when what one of the
--ready options asks for is there. One that has ended is replaced by another of its
name. Where it does not become ready, its state is failed, and what it printed last
is shown; the exit code is 0 all the same, or 1 with --fail.

A port is published on 127.0.0.1 of this machine, as PORT for any free one or as
THIS_MACHINE'S:THE_GUEST'S, for as long as the service runs.`,
		Example: `  pyro workspace service start 0123456789ab web --ready-http http://127.0.0.1/ --publish 8080:80 -- ./server
  pyro workspace service start 0123456789ab db --ready-file db.sock --secret-env DB_PASSWORD --fail -- ./db.sh
  pyro workspace service start 0123456789ab worker --restart on-failure:5 -- ./worker`,
		Annotations: map[string]string{codesKey: `  0    it was started, also where it has not become ready
  1    with --fail: it has not become ready; or pyro itself failed, and says [error]
  2    the command line makes no sense
  130  ended by Ctrl-C`},
		RunE: func(cmd *cobra.Command, args []string) error {
			s.req.ServiceName, s.req.Argv = args[1], args[2:]
			if err := s.check(cmd, args[0]); err != nil {
				return err
			}
			return a.serviceStart(cmd.Context(), args[0], s)
		},
		ValidArgsFunction: a.completeIDs(a.completeServices, api.StateStarted),
	}
	s.flags(cmd.Flags())
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (s *start) flags(f *pflag.FlagSet) {
	f.Var(textValue{&s.req.Cwd, "PATH"}, "cwd", "the directory that it starts in")
	f.Lookup("cwd").DefValue = api.WorkspacePath
	s.ready.flags(f)
	intFlag(f, &s.req.ReadyTimeoutSeconds, "ready-timeout-seconds", "SECONDS", api.DefaultReadyTimeout, "how long it may take to become ready, 1 second or more")
	intFlag(f, &s.req.ReadyIntervalMS, "ready-interval-ms", "MS", api.DefaultReadyIntervalMS, "how often to look, 1 ms or more")
	s.env.flag(f)
	f.Var(listValue{&s.publish, "PORT"}, "publish", "a port to reach it by, G or H:G; may be given again")
	f.Var(textValue{&s.req.Restart, "POLICY"}, "restart", "when it ends by itself: no, on-failure or on-failure:N")
	f.Lookup("restart").DefValue = api.RestartNo
	yield(f, "restart")
	f.BoolVar(&s.fail, "fail", false, "end with exit code 1 if it does not become ready")
}

// readiness is at most one of four options.
type readiness struct{ file, tcp, http, command string }

func (r *readiness) flags(f *pflag.FlagSet) {
	f.Var(textValue{&r.file, "PATH"}, "ready-file", "ready when there is a file of that name")
	f.Var(textValue{&r.tcp, "HOST:PORT"}, "ready-tcp", "ready when a connection to it is taken, in the guest")
	f.Var(textValue{&r.http, "URL"}, "ready-http", "ready when a GET of it is answered with 200 to 399, in the guest")
	f.Var(textValue{&r.command, "COMMAND"}, "ready-command", "ready when a line for /bin/sh ends with 0, in the guest")
}

func (r *readiness) of(f *pflag.FlagSet) (*api.Readiness, error) {
	var found []api.Readiness
	for name, one := range map[string]api.Readiness{
		"ready-file":    {Type: api.ReadyFile, Path: r.file},
		"ready-tcp":     {Type: api.ReadyTCP, Address: r.tcp},
		"ready-http":    {Type: api.ReadyHTTP, URL: r.http},
		"ready-command": {Type: api.ReadyCommand, Command: r.command},
	} {
		if f.Changed(name) {
			found = append(found, one)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return &found[0], nil
	}
	return nil, invalid("choose at most one of --ready-file, --ready-tcp, --ready-http and --ready-command", "--ready-command can look at several things")
}

// check completes the request, and refuses what no guest needs to be asked for.
func (s *start) check(cmd *cobra.Command, id string) (err error) {
	if len(s.req.Argv) == 0 {
		return invalid("a command is missing", "write it after --: `%s %s -- ./server`", cmd.CommandPath(), api.Quote([]string{id, s.req.ServiceName}))
	}
	for name, value := range map[string]int{"ready_timeout_seconds": s.req.ReadyTimeoutSeconds, "ready_interval_ms": s.req.ReadyIntervalMS} {
		if value < 1 {
			return invalid(fmt.Sprintf("%s is %d, it must be greater than 0", name, value), "choose a value in that range")
		}
	}
	if s.req.Readiness, err = s.ready.of(cmd.Flags()); err != nil {
		return err
	}
	if s.req.SecretEnv, err = s.env.names(); err != nil {
		return err
	}
	if s.req.Publish, err = parsePorts(s.publish); err != nil {
		return err
	}
	return s.req.Check()
}

// parsePorts reads ports to be published, each GUEST or HOST:GUEST.
func parsePorts(list []string) ([]api.PublishRequest, error) {
	var asked []api.PublishRequest
	for _, item := range list {
		host, guest, both := strings.Cut(item, ":")
		if !both {
			host, guest = "", host
		}
		var p api.PublishRequest
		var ok bool
		if p.GuestPort, ok = parsePort(guest); ok && both {
			p.HostPort, ok = parsePort(host)
			if ok && p.HostPort == 0 { // typed: not any free one
				return nil, invalid("publish "+quote(item)+": port 0 of this machine is not from 1025 to 65535", "--publish %s takes any free one", guest)
			}
		}
		if !ok {
			return nil, invalid("publish "+quote(item)+" is not GUEST_PORT or HOST_PORT:GUEST_PORT", "for example --publish 8080:80")
		}
		asked = append(asked, p)
	}
	return asked, nil
}

// parsePort reads a decimal number. Which ports there are is not its business.
func parsePort(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil
}

func (a *app) serviceStart(ctx context.Context, id string, s start) error {
	const tag = "workspace-service-start"
	waiting := tag
	if r := s.req.Readiness; r != nil {
		waiting = oneLine(fmt.Sprintf("%s: waiting for %s %s", tag, r.Type, r.Path+r.Address+r.URL+r.Command))
	}
	ws, err := await(ctx, a, tag, func(ctx context.Context) (workspace, error) { return a.get(ctx, id) })
	if err != nil {
		return err
	}
	a.warnUnisolated(ws.Seen())
	now, err := awaitWith(ctx, a, tag, a.newProgress(waiting), func(ctx context.Context) (*api.Service, error) { return ws.StartService(ctx, s.req) })
	if err != nil {
		return err
	}
	return a.started(tag, now, s.fail)
}

// started shows a service that was started, and why it has failed where it has.
func (a *app) started(tag string, s *api.Service, fail bool) error {
	if err := a.tellService(tag, s, s); err != nil {
		return err
	}
	if s.State == api.ServiceRunning {
		return nil
	}
	a.whyFailed(s)
	if fail {
		return guestStatus(exitHandled)
	}
	return nil
}

// whyFailed tells people why a service has failed, with what it printed last.
func (a *app) whyFailed(s *api.Service) {
	if s.State != api.ServiceFailed || a.json {
		return
	}
	why := "it has failed"
	if s.StopReason != nil {
		why = *s.StopReason
	}
	if s.ExitCode != nil {
		why += fmt.Sprintf(" exit_code=%d", *s.ExitCode)
	}
	a.say("[warning] service %s: %s", s.ServiceName, why)
	if s.Error != nil {
		for line := range strings.Lines(*s.Error) {
			a.say("  %s", strings.TrimRight(line, "\r\n"))
		}
	}
	a.say("[hint] `pyro workspace service logs %s %s --all` shows all that it printed", s.WorkspaceID, s.ServiceName)
}

// tellService shows an answer about a service: to programs all of it, to people a line
// beside the output of the guest.
func (a *app) tellService(tag string, answer any, s *api.Service) error {
	if a.json {
		return a.printJSON(answer)
	}
	line := fmt.Sprintf("[%s] workspace_id=%s service_name=%s state=%s cwd=%s execution_mode=%s",
		tag, s.WorkspaceID, s.ServiceName, s.State, s.Cwd, s.ExecutionMode)
	if len(s.PublishedPorts) > 0 {
		line += " published_ports=" + portList(s.PublishedPorts)
	}
	a.say("%s", line)
	return nil
}

func portList(ports []api.PublishedPort) string {
	shown := make([]string, len(ports))
	for i, p := range ports {
		shown[i] = fmt.Sprintf("%s:%d->%d/%s", p.Host, p.HostPort, p.GuestPort, p.Protocol)
	}
	return strings.Join(shown, ",")
}

func (a *app) serviceListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list WORKSPACE_ID",
		Short:   "show the services of a workspace by name",
		Long:    `Shows a line for each service, those that have ended included.`,
		Example: "  pyro workspace service list 0123456789ab\n  pyro workspace service list 0123456789ab --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := awaitOf(cmd.Context(), a, "workspace-service-list", args[0], func(ctx context.Context, ws workspace) (*api.ServiceList, error) {
				return ws.Services(ctx)
			})
			if err != nil {
				return err
			}
			return a.show(list, func() string { return serviceLines(list) })
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

// serviceLines is a list, one line a service.
func serviceLines(list *api.ServiceList) string {
	if len(list.Services) == 0 {
		return "No workspace services found.\n"
	}
	p := &page{}
	for _, s := range list.Services {
		line := fmt.Sprintf("%s [%s] cwd=%s", s.ServiceName, s.State, s.Cwd)
		if len(s.PublishedPorts) > 0 {
			line += " published=" + portList(s.PublishedPorts)
		}
		p.line("%s", line)
	}
	return p.String()
}

// serviceQuestion makes a command that asks one thing about a service by its name.
func (a *app) serviceQuestion(name string, about cobra.Command, f func(ws workspace, ctx context.Context, service string) (*api.Service, error)) *cobra.Command {
	tag := "workspace-service-" + name
	about.Use = name + " WORKSPACE_ID SERVICE_NAME"
	about.Example = "  pyro workspace service " + name + " 0123456789ab web"
	about.ValidArgsFunction = a.completeIDs(a.completeServices, api.StateStarted)
	about.RunE = func(cmd *cobra.Command, args []string) error {
		if err := api.CheckServiceName(args[1]); err != nil {
			return err
		}
		s, err := awaitOf(cmd.Context(), a, tag, args[0], func(ctx context.Context, ws workspace) (*api.Service, error) {
			return f(ws, ctx, args[1])
		})
		if err != nil {
			return err
		}
		if err := a.tellService(tag, s, s); err != nil {
			return err
		}
		a.whyFailed(s)
		return nil
	}
	a.jsonFlag(about.Flags())
	return &about
}

func (a *app) serviceStatusCommand() *cobra.Command {
	return a.serviceQuestion("status", cobra.Command{
		Short: "show one service",
		Long: `Shows what became of a service. With --json it is all that is known: since when it
runs and was ready, how it ended, how often it was restarted.`,
	}, workspace.Service)
}

func (a *app) serviceStopCommand() *cobra.Command {
	return a.serviceQuestion("stop", cobra.Command{
		Short: "end a service and all that it started",
		Long: `Ends a service with TERM, and with KILL where that does not help within five
seconds. Its ports are closed, and its output stays until it is started again. One
that has ended is left as it is.`,
	}, workspace.StopService)
}

func (a *app) serviceRestartCommand() *cobra.Command {
	return a.serviceQuestion("restart", cobra.Command{
		Short: "stop a service and start it again",
		Long: `Stops a service and starts it as it was started before: the same command, readiness,
secrets and published ports. It returns when it is ready, as start does.`,
	}, workspace.RestartService)
}
