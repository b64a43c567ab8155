package cli

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// cleanupTime bounds the removal of a sandbox whose command was given up.
const cleanupTime = 20 * time.Second

// errand is what run was told.
type errand struct {
	req     api.CreateRequest
	ttl     lifespan
	seed    seeding
	exec    execution
	network bool
}

func (a *app) runCommand() *cobra.Command {
	var e errand
	cmd := &cobra.Command{
		Use:   "run ENVIRONMENT [--] COMMAND...",
		Short: "run one command in a sandbox that is gone afterwards",
		Long: `Makes a sandbox, runs one command in it, and removes it again, however the
command ends. The environment host is this machine's own /usr, read-only under a
writable layer. The words after -- are the command and its arguments; for a shell
line write sh -c '…'. With --seed-path a directory or a tar archive lies in
/workspace, where the command runs; with --repo-url a git repository does.`,
		Example: `  pyro run host -- uname -a
  pyro run host --timeout-seconds 120 --seed-path . -- make test
  echo 6*7 | pyro run host -i -- bc
  pyro run host -it -- bash
  pyro run host --json -- id`,
		Annotations: guestCodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			e.req.Environment, e.exec.argv = args[0], args[1:]
			seed, err := e.check(cmd)
			if err = cmp.Or(err, a.canSit(e.exec)); err != nil {
				return err
			}
			return a.oneShot(cmd.Context(), e.req, seed, e.exec)
		},
		ValidArgsFunction: completeEnvironment,
	}
	f := cmd.Flags()
	resourceFlags(cmd, &e.req, &e.ttl)
	e.seed.flags(f)
	e.exec.flags(f)
	f.BoolVar(&e.network, "network", false, "let it reach the internet (not available yet)")
	a.jsonFlag(f)
	return cmd
}

// check completes the request, and refuses what no sandbox needs to be made for.
func (e *errand) check(cmd *cobra.Command) (*source, error) {
	e.req.NetworkPolicy = api.NetworkOff
	if e.network {
		e.req.NetworkPolicy = api.NetworkEgress
	}
	if err := e.exec.check(cmd, e.req.Environment); err != nil {
		return nil, err
	}
	return checkRequest(cmd, &e.req, e.ttl, e.seed)
}

// oneShot runs a command in a sandbox of its own. The sandbox ends with this process
// in any case; the removal here is the one that is verified.
func (a *app) oneShot(ctx context.Context, req api.CreateRequest, seed *source, e execution) error {
	c, err := a.open(a.Environ)
	if err != nil {
		return err
	}
	a.phase("[run] phase=create environment=%s", req.Environment)
	ws, err := a.make(ctx, "run", seed, func(ctx context.Context) (workspace, error) { return c.Create(ctx, req, seed, withUs) })
	if err != nil {
		return err
	}
	id := ws.Seen().WorkspaceID
	a.phase("[run] phase=start vm_id=%s", id)
	a.phase("[run] phase=execute vm_id=%s", id)
	result, err := a.execute(ctx, "run", ws, e)
	if _, ok := errors.AsType[*leaving](err); ok {
		return err
	}
	gone, left := a.discard(ctx, ws)
	if err = cmp.Or(err, left); err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(pyro.OneShotResult(ws.Seen(), result, gone))
	} else {
		a.remarks("run", result, e)
		a.say("[run] environment=%s execution_mode=%s exit_code=%d duration_ms=%d",
			result.Environment, result.ExecutionMode, result.ExitCode, result.DurationMS)
	}
	return ended(result, err)
}

// discard removes the sandbox, also when ctx is over.
func (a *app) discard(ctx context.Context, ws workspace) (*api.WorkspaceDelete, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	return await(ctx, a, "run", ws.Delete)
}

// phase tells people what is being done. Programs are told at the end.
func (a *app) phase(format string, args ...any) {
	if !a.json {
		a.say(format, args...)
	}
}

// remarks tells people that not all output came, and what gives a command more time
// that had only what everybody has.
func (a *app) remarks(tag string, r *api.WorkspaceExec, e execution) {
	a.cut(tag, "", r.StdoutTruncated, r.StderrTruncated)
	if r.Reason != nil && *r.Reason == api.EndedByTimeout && e.timeoutSeconds == api.DefaultTimeoutSeconds {
		a.say("[hint] --timeout-seconds gives it more time")
	}
}

// cut says which stream was truncated; of which command, if that is not plain.
func (a *app) cut(tag, of string, stdout, stderr bool) {
	if stdout {
		a.say("[%s] %sstdout truncated: its middle is missing", tag, of)
	}
	if stderr {
		a.say("[%s] %sstderr truncated: its middle is missing", tag, of)
	}
}

// ended makes the exit code of a guest's command ours, if its result could be told.
func ended(r *api.WorkspaceExec, err error) error {
	if err == nil && r.ExitCode != 0 {
		return guestStatus(r.ExitCode)
	}
	return err
}
