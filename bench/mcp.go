package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// mcpStart is the time from a host's start of the server to its first answer, against a
// server that does nothing.
func mcpStart(ctx context.Context, b *bench) (result, error) {
	hello := filepath.Join(b.dir, "hello")
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", hello, "./bench/hello").CombinedOutput(); err != nil {
		return result{}, fmt.Errorf("%w: %s", err, out)
	}
	sides, err := inTurns(ctx, 3*b.n,
		b.firstAnswer(b.program("pyro"), "mcp", "serve", "--no-project-source"), b.firstAnswer(hello),
		b.firstAnswer(b.program("pyro"), "mcp", "serve", "--no-project-source", "--profile", "workspace-full"))
	if err != nil {
		return result{}, err
	}
	r := compared(sides[0], sides[1])
	r.What = "process: pyro mcp serve, until initialize is answered"
	r.Command, r.Target = "the same of a server with one tool (bench/hello)", "p50 <= 2"
	r.Figures = figures("with --profile workspace-full", sides[2], "")
	return r, nil
}

// firstAnswer measures a server from its start to its first answer.
func (b *bench) firstAnswer(program string, args ...string) side {
	const greeting = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}` + "\n"
	return func(ctx context.Context) (_ time.Duration, err error) {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Env = b.env
		to, err := cmd.StdinPipe()
		if err != nil {
			return 0, err
		}
		from, err := cmd.StdoutPipe()
		if err != nil {
			return 0, err
		}
		began := time.Now()
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		defer func() {
			_ = to.Close()
			_, _ = io.Copy(io.Discard, from)
			err = errors.Join(err, cmd.Wait())
		}()
		if _, err := io.WriteString(to, greeting); err != nil {
			return 0, err
		}
		line, err := bufio.NewReader(from).ReadString('\n')
		took := time.Since(began)
		if err == nil && !strings.Contains(line, `"result"`) {
			err = fmt.Errorf("%s answered %s", program, line)
		}
		return took, err
	}
}

// mcpExec is a command by the protocol against the same by the SDK.
func mcpExec(ctx context.Context, b *bench) (r result, err error) {
	err = b.within(ctx, func(ws *pyro.Workspace) (err error) {
		cmd := exec.CommandContext(ctx, b.program("pyro"), "mcp", "serve", "--no-project-source")
		cmd.Env = b.env
		client := mcp.NewClient(&mcp.Implementation{Name: "bench", Version: "1"}, nil)
		session, err := client.Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, session.Close()) }()
		protocol := func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "workspace_exec", Arguments: map[string]any{"workspace_id": ws.ID(), "command": "true"}})
			if err == nil && res.IsError {
				err = fmt.Errorf("workspace_exec: %v", res.Content)
			}
			return time.Since(began), err
		}
		sdk := func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			_, err := ws.Exec(ctx, api.ExecRequest{Command: "true"})
			return time.Since(began), err
		}
		sides, err := inTurns(ctx, 3*b.n, protocol, sdk)
		if err != nil {
			return err
		}
		r = compared(sides[0], sides[1])
		r.What, r.Command, r.Target = "MCP over stdio: workspace_exec of true", "Go SDK: the same", "p50 <= 1.3"
		return nil
	})
	return r, err
}
