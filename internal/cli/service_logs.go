package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

// reading is what workspace service logs was told.
type reading struct {
	lines  int
	all    bool
	follow bool
}

func (a *app) serviceLogsCommand() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use:   "logs WORKSPACE_ID SERVICE_NAME",
		Short: "show what a service printed",
		Long: `Shows the last lines that a service printed, stdout to stdout and stderr to stderr.
The last 8 MiB of each are kept. With --follow what it prints is shown as it comes,
until it has ended or Ctrl-C is typed, which leaves it as it is.`,
		Example: `  pyro workspace service logs 0123456789ab web
  pyro workspace service logs 0123456789ab web --tail-lines 20 --follow
  pyro workspace service logs 0123456789ab web --all --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.lines < 1 {
				return invalid(fmt.Sprintf("tail_lines is %d, it must be greater than 0", r.lines), "--all shows all lines")
			}
			if err := api.CheckServiceName(args[1]); err != nil {
				return err
			}
			if r.all {
				r.lines = 0
			}
			if r.follow {
				return a.serviceFollow(cmd.Context(), args[0], args[1], r)
			}
			return a.serviceLogs(cmd.Context(), args[0], args[1], r)
		},
		ValidArgsFunction: a.completeIDs(a.completeServices, api.StateStarted),
	}
	f := cmd.Flags()
	intFlag(f, &r.lines, "tail-lines", "N", api.DefaultTailLines, "how many lines of each stream, 1 line or more")
	f.BoolVar(&r.all, "all", false, "all lines that are kept")
	f.BoolVar(&r.follow, "follow", false, "go on showing what comes")
	a.jsonFlag(f)
	return cmd
}

const serviceLogsTag = "workspace-service-logs"

func (a *app) serviceLogs(ctx context.Context, id, name string, r reading) error {
	logs, err := awaitOf(ctx, a, serviceLogsTag, id, func(ctx context.Context, ws workspace) (*api.ServiceLogs, error) {
		return ws.ServiceLogs(ctx, name, r.lines)
	})
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(logs)
	}
	if err := cmp.Or(a.pass(a.Stdout, "stdout", logs.Stdout), a.relay(a.Stderr, "stderr", logs.Stderr)); err != nil {
		return err
	}
	return a.tellService(serviceLogsTag, logs, &logs.Service)
}

// serviceFollow shows what a service prints as it comes. A signal ends that, and is no
// error.
func (a *app) serviceFollow(ctx context.Context, id, name string, r reading) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ws, err := await(ctx, a, serviceLogsTag, func(ctx context.Context) (workspace, error) { return a.get(ctx, id) })
	if err != nil {
		return err
	}
	kept, keptErr := &capture{limit: maxCapture}, &capture{limit: maxCapture}
	stdout, stderr := a.outlet(a.Stdout, "stdout"), a.outlet(a.Stderr, "stderr")
	type outcome struct {
		service *api.Service
		err     error
	}
	ended := make(chan outcome, 1)
	go func() { // ends with ctx, unless our own output is stuck
		var o outcome
		if a.json {
			o.service, o.err = ws.FollowService(ctx, name, r.lines, kept, keptErr)
		} else {
			o.service, o.err = ws.FollowService(ctx, name, r.lines, stdout, stderr)
		}
		ended <- o
	}()
	select {
	case s := <-a.Signals:
		_, code := signalOf(s)
		return &leaving{code: code}
	case <-a.readerGone(ctx):
		return errUnread
	case o := <-ended:
		err := cmp.Or(o.err, stdout.flush(), stderr.flush())
		switch {
		case err != nil:
			return err
		case a.json:
			return a.printJSON(followed(o.service, kept, keptErr, r))
		}
		return a.tellService(serviceLogsTag, nil, o.service)
	}
}

// followed is what a service printed until it ended, as one value.
func followed(s *api.Service, stdout, stderr *capture, r reading) *api.ServiceLogs {
	logs := &api.ServiceLogs{Service: *s, Stdout: stdout.text(), Stderr: stderr.text(), Truncated: stdout.cut || stderr.cut}
	if r.lines > 0 {
		logs.TailLines = &r.lines
	}
	return logs
}
