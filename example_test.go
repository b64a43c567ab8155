package pyro_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// Examples that need a machine which runs sandboxes are compiled and not run.

func ExampleClient_Create() {
	ctx := context.Background()
	client, err := pyro.Open(nil)
	if err != nil {
		fmt.Println(err, "-", api.HintOf(err))
		return
	}
	ws, err := client.Create(ctx, "host", &pyro.CreateOptions{Name: "fix the parser", MemMiB: 2048, TTL: 20 * time.Minute})
	if err != nil {
		fmt.Println(err, "-", api.HintOf(err))
		return
	}
	defer func() {
		if _, err := ws.Delete(context.WithoutCancel(ctx)); err != nil {
			fmt.Println(err)
		}
	}()
	fmt.Println("workspace", ws.ID(), "runs on", ws.Seen().Engine)
}

func ExampleClient_Run() {
	client, err := pyro.Open(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := client.Run(context.Background(), "host", &pyro.RunOptions{
		Exec: api.ExecRequest{Command: "uname -a | tr a-z A-Z", TimeoutSeconds: 10},
	})
	if err != nil {
		fmt.Println(err, "-", api.HintOf(err))
		return
	}
	fmt.Print(result.Stdout)
}

func ExampleClient_List() {
	client, err := pyro.Open(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	list, err := client.List(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, ws := range list.Workspaces {
		fmt.Println(ws.WorkspaceID, ws.State, ws.CreatedAt.Time().Format(time.Kitchen))
	}
}

func ExampleWorkspace_Command() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := pyro.Open(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ws, err := client.Get(ctx, "0123456789ab")
	if err != nil {
		fmt.Println(err, "-", api.HintOf(err))
		return
	}
	cmd := ws.Command(ctx, "make", "test")
	cmd.Env = []string{"CGO_ENABLED=0"}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Timeout = 5 * time.Minute
	err = cmd.Run()
	if exit, ok := errors.AsType[*pyro.ExitError](err); ok {
		fmt.Println("the tests failed:", exit) // exit status 1
		return
	}
	if err != nil {
		fmt.Println(err, "-", api.HintOf(err))
	}
}

func ExampleCmd_StdinPipe() {
	ctx := context.Background()
	var ws *pyro.Workspace // from Client.Create or Client.Get
	cmd := ws.Command(ctx, "sort")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		fmt.Println(err)
		return
	}
	cmd.Stdout = os.Stdout
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return
	}
	for _, word := range []string{"one", "two", "three"} {
		if _, err := fmt.Fprintln(stdin, word); err != nil {
			break // Wait says why
		}
	}
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		fmt.Println(err)
	}
}

func ExampleOneShotResult() {
	ctx := context.Background()
	client, err := pyro.Open(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ws, err := client.Create(ctx, "host", &pyro.CreateOptions{OneShot: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	cmd := ws.Command(ctx, "make")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	runErr := cmd.Run()
	deleted, err := ws.Delete(context.WithoutCancel(ctx))
	if err != nil {
		fmt.Println(err)
	}
	if cmd.Result() == nil {
		fmt.Println(runErr) // how it ended is not known
		return
	}
	result := pyro.OneShotResult(ws.Seen(), cmd.Result(), deleted)
	fmt.Println("exit code", result.ExitCode, "after", result.DurationMS, "ms")
}

func ExampleExitError() {
	timeout := api.EndedByTimeout
	for _, err := range []error{
		&pyro.ExitError{Result: &api.WorkspaceExec{ExitCode: 3}},
		&pyro.ExitError{Result: &api.WorkspaceExec{ExitCode: -9}},
		&pyro.ExitError{Result: &api.WorkspaceExec{ExitCode: 124, Reason: &timeout}},
	} {
		fmt.Println(err, errors.Is(err, context.DeadlineExceeded))
	}
	// Output:
	// exit status 3 false
	// signal: killed false
	// timed out true
}

// A shell keeps its directory and variables from one write to the next.
func ExampleWorkspace_OpenShell() {
	ctx := context.Background()
	ws, err := workspaceFor(ctx)
	if err != nil {
		fmt.Println(err, "-", api.HintOf(err))
		return
	}
	shell, err := ws.OpenShell(ctx, api.ShellOpenRequest{Cwd: "/workspace"})
	if err != nil {
		fmt.Println(err, "-", api.HintOf(err))
		return
	}
	defer func() { _, _ = ws.CloseShell(context.WithoutCancel(ctx), shell.ShellID) }()
	var cursor int64
	idle := 300
	for _, line := range []string{"cd src", "make test"} {
		if _, err := ws.WriteShell(ctx, shell.ShellID, api.ShellWriteRequest{Input: line, AppendNewline: true}); err != nil {
			fmt.Println(err)
			return
		}
		said, err := ws.ReadShell(ctx, shell.ShellID, api.ShellReadRequest{Cursor: cursor, Plain: true, WaitForIdleMS: &idle})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(said.Output)
		cursor = said.NextCursor
	}
}

// A program with a terminal of its own, in raw mode, gives it to a shell until ctx ends.
func ExampleWorkspace_AttachShell() {
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	ws, err := workspaceFor(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	sizes := make(chan api.TerminalSize) // of the window, whenever it changes
	ended, err := ws.AttachShell(ctx, "9f3c21d07b44", pyro.ShellAttachment{
		Stdin: os.Stdin, Stdout: os.Stdout, Cursor: -1, Size: api.TerminalSize{Cols: 120, Rows: 30}, Resize: sizes,
	})
	switch {
	case errors.Is(err, api.Canceled):
		fmt.Println("left; it goes on")
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println("it ended:", ended.State)
	}
}

// A service that does not become ready is no error: its record says why.
func ExampleWorkspace_StartService() {
	ctx := context.Background()
	ws, err := workspaceFor(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	service, err := ws.StartService(ctx, api.ServiceStartRequest{
		ServiceName: "web", Argv: []string{"python3", "-m", "http.server", "8000"},
		Readiness: &api.Readiness{Type: api.ReadyHTTP, URL: "http://127.0.0.1:8000/"},
		Publish:   []api.PublishRequest{{GuestPort: 8000}},
		Restart:   "on-failure:3",
	})
	switch {
	case err != nil:
		fmt.Println(err, "-", api.HintOf(err))
	case service.State == api.ServiceFailed:
		fmt.Println(*service.Error)
	default:
		fmt.Printf("http://127.0.0.1:%d/\n", service.PublishedPorts[0].HostPort)
	}
}

// A secret is used and not seen: where it is printed, [REDACTED] stands.
func ExampleWorkspace_SetSecret() {
	ctx := context.Background()
	ws, err := workspaceFor(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	token := api.SecretValue{Name: "TOKEN", Value: api.Masked(os.Getenv("GITHUB_TOKEN")), SourceKind: api.SecretFromEnv}
	if _, err := ws.SetSecret(ctx, token); err != nil {
		fmt.Println(err, "-", api.HintOf(err))
		return
	}
	cmd := ws.Command(ctx, "./release")
	cmd.SecretEnv = map[string]string{"TOKEN": "GITHUB_TOKEN"}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Println(err)
	}
}

// workspaceFor makes a workspace for an example.
func workspaceFor(ctx context.Context) (*pyro.Workspace, error) {
	client, err := pyro.Open(nil)
	if err != nil {
		return nil, err
	}
	return client.Create(ctx, "host", nil)
}
