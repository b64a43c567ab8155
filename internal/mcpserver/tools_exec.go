package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// execAnswer is the contract's WorkspaceExec, and how to get at what is not in it.
type execAnswer struct {
	api.WorkspaceExec
	part
	StdoutBytes int64   `json:"stdout_bytes"` // of all that was written
	StderrBytes int64   `json:"stderr_bytes"`
	Running     bool    `json:"running"` // it has not ended: exit_code is -1
	ExecID      *string `json:"exec_id"` // for workspace_exec_wait; null once it has ended
	Next        *string `json:"next"`    // the call that gets the rest; null: there is none
}

type execArguments struct {
	WorkspaceID    string `json:"workspace_id"`
	Command        string `json:"command" jsonschema:"shell line, run in /workspace"`
	TimeoutSeconds int    `json:"timeout_seconds,omitempty" jsonschema:"end it then" limits:"default=30,min=1,max=86400"`
	MaxChars       int    `json:"max_chars,omitempty" jsonschema:"of the answer" limits:"default=10000,min=1000,max=200000"`
}

type fullExecArguments struct {
	WorkspaceID    string            `json:"workspace_id"`
	Command        string            `json:"command" jsonschema:"shell line, run in /workspace"`
	TimeoutSeconds int               `json:"timeout_seconds,omitempty" jsonschema:"end it then" limits:"default=30,min=1,max=86400"`
	SecretEnv      map[string]string `json:"secret_env,omitempty" jsonschema:"secret name to variable"`
	MaxChars       int               `json:"max_chars,omitempty" jsonschema:"of the answer" limits:"default=10000,min=1000,max=200000"`
}

var execTool = tool{
	name: "workspace_exec", title: "Run a command", first: true,
	says: "Run a shell command and return exit_code, stdout, stderr; a failing command is no error. " +
		"Example: {\"workspace_id\":\"ab12…\",\"command\":\"pytest -q\"}. After 50 s the answer is running=true with an exec_id for workspace_exec_wait.",
	effects: effects{destroys: true},
}

func execCore() tool {
	return define(execTool, func(ctx context.Context, c *call, in execArguments) (*execAnswer, error) {
		return c.exec(ctx, fullExecArguments{WorkspaceID: in.WorkspaceID, Command: in.Command, TimeoutSeconds: in.TimeoutSeconds, MaxChars: in.MaxChars})
	})
}

// execFull is that of the profiles with secrets.
func execFull() tool {
	return define(execTool, func(ctx context.Context, c *call, in fullExecArguments) (*execAnswer, error) {
		return c.exec(ctx, in)
	})
}

const execWaitName = "workspace_exec_wait"

func execWait() tool {
	return define(tool{
		name: execWaitName, title: "Wait for a command",
		says:    "Wait for a command that workspace_exec answered with running=true; stop=true ends it.",
		effects: effects{destroys: true, idempotent: true},
	}, waitForExec)
}

type waitArguments struct {
	WorkspaceID string `json:"workspace_id"`
	ExecID      string `json:"exec_id"`
	WaitSeconds int    `json:"wait_seconds,omitempty" limits:"default=50,min=1,max=240"`
	Stop        bool   `json:"stop,omitempty" jsonschema:"kill it now"`
	MaxChars    int    `json:"max_chars,omitempty" limits:"default=10000,min=1000,max=200000"`
}

func (c *call) exec(ctx context.Context, in fullExecArguments) (*execAnswer, error) {
	ws, err := c.workspace(ctx, in.WorkspaceID)
	if err != nil {
		return nil, err
	}
	timeout := time.Duration(in.TimeoutSeconds) * time.Second
	e := c.running.start(ctx, ws.Seen(), func(ctx context.Context) *pyro.Cmd {
		cmd := ws.ShellCommand(ctx, in.Command)
		cmd.Timeout, cmd.SecretEnv = timeout, in.SecretEnv
		return cmd
	})
	ended, err := e.wait(ctx, c.budget, c.progress(ctx, e, timeout))
	switch {
	case err != nil: // nobody waits any more
		e.cancel()
		<-e.done // the client gives a command up soon after its context has ended
		return nil, err
	case ended && e.err != nil:
		return nil, e.err
	case !ended:
		if err := c.running.keep(e); err != nil {
			e.cancel()
			return nil, err
		}
	}
	c.most = in.MaxChars
	return e.answer(ended, c.most), nil
}

// waitForExec waits on. Who gives that up does not end the command: stop does.
func waitForExec(ctx context.Context, c *call, in waitArguments) (*execAnswer, error) {
	e, err := c.running.find(in.WorkspaceID, in.ExecID)
	if err != nil {
		return nil, err
	}
	if in.Stop {
		e.cancel()
	}
	ended, err := e.wait(ctx, time.Duration(in.WaitSeconds)*time.Second, c.progress(ctx, e, 0))
	switch {
	case err != nil:
		return nil, err
	case ended && e.err != nil && !errors.Is(e.err, context.Canceled):
		return nil, e.err
	}
	c.most = in.MaxChars
	return e.answer(ended, c.most), nil
}

// answer says how a command is doing, in so many characters.
func (e *execution) answer(ended bool, most int) *execAnswer {
	ws := e.workspace
	out := execAnswer{Running: !ended, ExecID: &e.id}
	switch {
	case ended && e.result != nil:
		out.WorkspaceExec, out.ExecID = *e.result, nil
	default:
		out.WorkspaceExec = api.WorkspaceExec{
			WorkspaceID: ws.WorkspaceID, Environment: ws.Environment, EnvironmentVersion: ws.EnvironmentVersion,
			Command: e.command, ExitCode: -1, DurationMS: time.Since(e.started).Milliseconds(),
			ExecutionMode: ws.ExecutionMode, Cwd: api.WorkspacePath,
		}
		if ended { // it was stopped: nobody saw its end
			out.ExecID, out.ExitCode, out.Reason = nil, -9, new(api.EndedByCancel)
		}
	}
	out.Command = brief(out.Command, most/8)
	e.show(&out, most)
	return &out
}

// show puts what a command printed into an answer of so many characters, and the call that
// gets the rest.
func (e *execution) show(out *execAnswer, most int) {
	var stdout, stderr string
	stdout, out.StdoutBytes = e.stdout.kept()
	stderr, out.StderrBytes = e.stderr.kept()
	out.Next = more("workspace_exec_wait", "workspace_id", e.workspace.WorkspaceID, "exec_id", e.id)
	if !out.Running {
		out.Next = more("workspace_logs", "workspace_id", e.workspace.WorkspaceID, "sequence", out.Sequence, "stream", "stdout")
	}
	forOut, forErr := shares(most-size(out), cost(stdout), cost(stderr))
	var outCut, errCut bool
	out.Stdout, outCut = headAndTail(stdout, out.StdoutBytes, forOut)
	out.Stderr, errCut = headAndTail(stderr, out.StderrBytes, forErr)
	out.StdoutTruncated = out.StdoutTruncated || outCut
	out.StderrTruncated = out.StderrTruncated || errCut
	out.Truncated = out.StdoutTruncated || out.StderrTruncated
	switch {
	case out.Running:
	case !out.Truncated || out.Sequence == 0:
		out.Next = nil
	case !out.StdoutTruncated:
		out.Next = more("workspace_logs", "workspace_id", e.workspace.WorkspaceID, "sequence", out.Sequence, "stream", "stderr")
	}
}

// progress tells a client that asked for it what a command prints.
func (c *call) progress(ctx context.Context, e *execution, timeout time.Duration) func() {
	token := c.request.Params.GetProgressToken()
	if token == nil {
		return func() {}
	}
	return func() {
		since := time.Since(e.started)
		said := e.stdout.lastLine()
		if said == "" {
			said = e.stderr.lastLine()
		}
		ctx, cancel := context.WithTimeout(ctx, progressInterval)
		defer cancel()
		_ = c.request.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ // a client that is gone needs none
			ProgressToken: token, Progress: since.Seconds(), Total: timeout.Seconds(),
			Message: fmt.Sprintf("running for %d s: %s", int(since.Seconds()), said),
		})
	}
}
