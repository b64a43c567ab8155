package mcpserver

import (
	"context"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// inShell is a call about one shell.
type inShell struct {
	WorkspaceID string `json:"workspace_id"`
	ShellID     string `json:"shell_id"`
}

type shellOpenArguments struct {
	WorkspaceID string            `json:"workspace_id"`
	Cwd         string            `json:"cwd,omitempty" limits:"default=/workspace"`
	Cols        int               `json:"cols,omitempty" limits:"default=120,min=1,max=4096"`
	Rows        int               `json:"rows,omitempty" limits:"default=30,min=1,max=4096"`
	SecretEnv   map[string]string `json:"secret_env,omitempty" jsonschema:"secret name to variable"`
}

type shellReadArguments struct {
	WorkspaceID   string `json:"workspace_id"`
	ShellID       string `json:"shell_id"`
	Cursor        int64  `json:"cursor,omitempty" jsonschema:"next_cursor of the last read" limits:"default=0,min=0"`
	MaxChars      int    `json:"max_chars,omitempty" limits:"default=65536,min=1"`
	Plain         bool   `json:"plain,omitempty" jsonschema:"without terminal control sequences" limits:"default=false"`
	WaitForIdleMS *int   `json:"wait_for_idle_ms,omitempty" jsonschema:"wait until nothing was printed for so long" limits:"min=1,max=10000"`
}

type shellWriteArguments struct {
	WorkspaceID   string `json:"workspace_id"`
	ShellID       string `json:"shell_id"`
	Input         string `json:"input"`
	AppendNewline *bool  `json:"append_newline,omitempty" limits:"default=true"`
}

type shellSignalArguments struct {
	WorkspaceID string `json:"workspace_id"`
	ShellID     string `json:"shell_id"`
	SignalName  string `json:"signal_name,omitempty" jsonschema:"HUP, INT, TERM or KILL" limits:"default=INT"`
}

func shellTools() []tool {
	return []tool{shellOpen(), shellRead(), shellWrite(), shellSignal(), shellClose()}
}

func shellOpen() tool {
	return define(tool{
		name: "shell_open", title: "Open a shell",
		says: "Open an interactive shell on a terminal that keeps its state; for single commands use workspace_exec.", effects: effects{destroys: true},
	}, func(ctx context.Context, c *call, in shellOpenArguments) (*api.Shell, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return ws.OpenShell(ctx, api.ShellOpenRequest{Cwd: in.Cwd, Cols: in.Cols, Rows: in.Rows, SecretEnv: in.SecretEnv})
	})
}

func shellRead() tool {
	return define(tool{
		name: "shell_read", title: "Read from a shell",
		says:    "Return what a shell printed since cursor. Example: {\"workspace_id\":\"ab12…\",\"shell_id\":\"cd34…\",\"cursor\":0,\"plain\":true,\"wait_for_idle_ms\":300}.",
		effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in shellReadArguments) (*api.ShellRead, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		req := api.ShellReadRequest{Cursor: in.Cursor, MaxChars: in.MaxChars, Plain: in.Plain, WaitForIdleMS: in.WaitForIdleMS}
		if c.given("max_chars") {
			c.most = 8 * max(in.MaxChars, api.ShellBufferBytes) // what was asked for counts alone
			return ws.ReadShell(ctx, in.ShellID, req)
		}
		req.MaxChars = c.most
		return c.readShell(ctx, ws, in.ShellID, req)
	})
}

// readShell reads as much as fits into an answer. What is too long is read again, shorter:
// only the shell knows where the cursor is after so much of its output, and reading takes
// nothing away.
func (c *call) readShell(ctx context.Context, ws *pyro.Workspace, shell string, req api.ShellReadRequest) (*api.ShellRead, error) {
	waited := req.WaitForIdleMS
	for {
		read, err := ws.ReadShell(ctx, shell, req)
		if err != nil {
			return nil, err
		}
		read.WaitForIdleMS = waited
		n := size(read)
		if n <= c.most || req.MaxChars <= 1 {
			return read, nil
		}
		shown := cost(read.Output)
		room := max(0, c.most-(n-shown))
		req.WaitForIdleMS = nil
		req.MaxChars = max(1, min(req.MaxChars/2, req.MaxChars*room/max(1, shown)))
		if next := req.MaxChars * 2; shown > 0 && room*10 > shown*9 {
			req.MaxChars = next * 9 / 10 // almost: halving would waste most of the room
		}
	}
}

func shellWrite() tool {
	return define(tool{
		name: "shell_write", title: "Type into a shell",
		says: "Type text into a shell, with a newline unless append_newline is false.", effects: effects{destroys: true},
	}, func(ctx context.Context, c *call, in shellWriteArguments) (*api.ShellWrite, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return ws.WriteShell(ctx, in.ShellID, api.ShellWriteRequest{Input: in.Input, AppendNewline: in.AppendNewline == nil || *in.AppendNewline})
	})
}

func shellSignal() tool {
	return define(tool{
		name: "shell_signal", title: "Signal a shell",
		says: "Send a signal to what runs in the foreground of a shell.", effects: effects{destroys: true},
	}, func(ctx context.Context, c *call, in shellSignalArguments) (*api.ShellSignal, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return ws.SignalShell(ctx, in.ShellID, in.SignalName)
	})
}

func shellClose() tool {
	return define(tool{
		name: "shell_close", title: "Close a shell",
		says: "End a shell and all that it started.", effects: effects{destroys: true, idempotent: true},
	}, func(ctx context.Context, c *call, in inShell) (*api.ShellClose, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return ws.CloseShell(ctx, in.ShellID)
	})
}
