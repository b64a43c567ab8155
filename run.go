package pyro

import (
	"context"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// RunOptions say what to run, and in what kind of workspace.
type RunOptions struct {
	CreateOptions // OneShot is implied
	Exec          api.ExecRequest
}

// cleanupTime bounds the deletion of a one-shot workspace; whatever is left then
// ends because its lease does.
const cleanupTime = 30 * time.Second

// Run runs one command in a workspace of its own and deletes that, also when ctx
// ends or this program is killed. Output is captured as by [Workspace.Exec]; a
// command that fails is not an error. Where only the deletion failed, the result
// comes together with an error, and says so in Cleanup.
func (c *Client) Run(ctx context.Context, environment string, opts *RunOptions) (*api.VMExec, error) {
	if opts == nil {
		opts = &RunOptions{}
	}
	create := opts.CreateOptions
	create.OneShot = true
	ws, err := c.Create(ctx, environment, &create)
	if err != nil {
		return nil, err
	}
	result, execErr := ws.Exec(ctx, opts.Exec)
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	deleted, deleteErr := ws.Delete(cleanup)
	if execErr != nil {
		return nil, execErr
	}
	return OneShotResult(ws.Seen(), result, deleted), deleteErr
}

// OneShotResult puts together what came of a one-shot workspace, for programs that
// stream where [Client.Run] captures: what Create returned, the result of the
// command, and that of Delete, nil where it failed.
func OneShotResult(created *api.Workspace, result *api.WorkspaceExec, deleted *api.WorkspaceDelete) *api.VMExec {
	return &api.VMExec{
		VMID:               created.WorkspaceID,
		Environment:        created.Environment,
		EnvironmentVersion: created.EnvironmentVersion,
		Command:            result.Command,
		Stdout:             result.Stdout,
		Stderr:             result.Stderr,
		StdoutTruncated:    result.StdoutTruncated,
		StderrTruncated:    result.StderrTruncated,
		ExitCode:           result.ExitCode,
		DurationMS:         result.DurationMS,
		ExecutionMode:      result.ExecutionMode,
		Engine:             created.Engine,
		Isolation:          created.Isolation,
		Limits:             created.Limits,
		Reason:             result.Reason,
		Cleanup: api.VMDelete{
			VMID: created.WorkspaceID, Deleted: deleted != nil && deleted.Deleted, Reason: api.ReasonPostExecCleanup,
		},
	}
}
