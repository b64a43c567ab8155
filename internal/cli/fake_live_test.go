package cli

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

const testShell = "9f3c21d07b44"

// fakeLive is what of a workspace answers besides commands.
type fakeLive struct {
	shell      api.Shell
	service    api.Service
	shellList  []api.Shell
	services   []api.Service
	secretList []api.Secret
	read       api.ShellRead
	logs       api.ServiceLogs
	attach     func(ctx context.Context, with pyro.ShellAttachment) (*api.Shell, error)
	starting   func(ctx context.Context) error
	follow     func(ctx context.Context, stdout, stderr io.Writer) error
}

func sampleShell() api.Shell {
	return api.Shell{
		WorkspaceID: testID, ShellID: testShell, Cwd: api.WorkspacePath, Cols: 120, Rows: 30, State: api.ShellRunning,
		StartedAt: 1700000000, ExecutionMode: api.ModeGuestVsock,
	}
}

func sampleService() api.Service {
	ready := api.Timestamp(1700000001.5)
	return api.Service{
		WorkspaceID: testID, ServiceName: "web", State: api.ServiceRunning, Command: "python3 -m http.server", Cwd: api.WorkspacePath,
		StartedAt: 1700000000, PID: new(17), ExecutionMode: api.ModeGuestVsock, ReadyAt: &ready, Restart: api.RestartNo,
		Readiness: &api.Readiness{Type: api.ReadyTCP, Address: "127.0.0.1:80"},
		PublishedPorts: []api.PublishedPort{
			{Host: "127.0.0.1", HostPort: 8080, GuestPort: 80, Protocol: "tcp"},
			{Host: "127.0.0.1", HostPort: 8443, GuestPort: 443, Protocol: "tcp"},
		},
	}
}

func failedService() api.Service {
	s := sampleService()
	at := api.Timestamp(1700000030)
	s.State, s.ReadyAt, s.EndedAt, s.PublishedPorts = api.ServiceFailed, nil, &at, []api.PublishedPort{}
	s.ExitCode, s.StopReason = new(3), text(api.StopExitedBeforeReady)
	s.Error = text("the process ended before it was ready\nbind: \x1b[31mAddress in use\n")
	return s
}

func newLive() fakeLive {
	shell, service := sampleShell(), sampleService()
	idle := service
	idle.ServiceName, idle.State, idle.PublishedPorts = "db", api.ServiceExited, nil
	over := shell
	over.ShellID, over.State, over.ExitCode = "000000000001", api.ShellStopped, new(-9)
	return fakeLive{
		shell: shell, service: service, shellList: []api.Shell{over, shell}, services: []api.Service{idle, service},
		secretList: []api.Secret{{Name: "KEY", SourceKind: api.SecretFromFile}, {Name: "TOKEN", SourceKind: api.SecretLiteral}},
		read:       api.ShellRead{Shell: shell, Cursor: 2, NextCursor: 15, Output: "pyro$ \x1b[1mls\r\n", Truncated: true},
		logs:       api.ServiceLogs{Service: service, Stdout: "GET /\n", Stderr: "warm", TailLines: new(200)},
		follow: func(_ context.Context, stdout, stderr io.Writer) error {
			_, err := io.WriteString(stdout, "one\ntwo\n")
			_, err2 := io.WriteString(stderr, "oops\n")
			return errors.Join(err, err2)
		},
	}
}

func (w fakeWorkspace) OpenShell(_ context.Context, req api.ShellOpenRequest) (*api.Shell, error) {
	_, err := w.c.answer(req)
	return &w.c.live.shell, err
}

func (w fakeWorkspace) Shells(context.Context) (*api.ShellList, error) {
	_, err := w.c.answer("shells")
	return &api.ShellList{WorkspaceID: testID, Count: len(w.c.live.shellList), Shells: w.c.live.shellList}, err
}

func (w fakeWorkspace) Shell(context.Context, string) (*api.Shell, error) {
	_, err := w.c.answer("shell")
	return &w.c.live.shell, err
}

func (w fakeWorkspace) ReadShell(_ context.Context, shell string, req api.ShellReadRequest) (*api.ShellRead, error) {
	_, err := w.c.answer(req)
	r := w.c.live.read
	r.ShellID, r.Plain, r.WaitForIdleMS = shell, req.Plain, req.WaitForIdleMS
	return &r, err
}

func (w fakeWorkspace) WriteShell(_ context.Context, _ string, req api.ShellWriteRequest) (*api.ShellWrite, error) {
	_, err := w.c.answer(req)
	return &api.ShellWrite{Shell: w.c.live.shell, InputLength: int64(len(req.Input)), AppendNewline: req.AppendNewline}, err
}

func (w fakeWorkspace) SignalShell(_ context.Context, _, signal string) (*api.ShellSignal, error) {
	_, err := w.c.answer(api.ShellSignalRequest{Signal: signal})
	return &api.ShellSignal{Shell: w.c.live.shell, Signal: signal}, err
}

func (w fakeWorkspace) ResizeShell(_ context.Context, _ string, size api.TerminalSize) (*api.Shell, error) {
	_, err := w.c.answer(size)
	s := w.c.live.shell
	s.Cols, s.Rows = size.Cols, size.Rows
	return &s, err
}

func (w fakeWorkspace) CloseShell(_ context.Context, shell string) (*api.ShellClose, error) {
	_, err := w.c.answer("close " + shell)
	s := w.c.live.shell
	s.State, s.ExitCode = api.ShellStopped, new(-1)
	return &api.ShellClose{Shell: s, Closed: true}, err
}

func (w fakeWorkspace) AttachShell(ctx context.Context, shell string, with pyro.ShellAttachment) (*api.Shell, error) {
	if _, err := w.c.answer("attach " + shell); err != nil {
		return nil, err
	}
	return w.c.live.attach(ctx, with)
}

func (w fakeWorkspace) StartService(ctx context.Context, req api.ServiceStartRequest) (*api.Service, error) {
	if w.c.live.starting != nil {
		if err := w.c.live.starting(ctx); err != nil {
			return nil, err
		}
	}
	_, err := w.c.answer(req)
	return &w.c.live.service, err
}

func (w fakeWorkspace) Services(context.Context) (*api.ServiceList, error) {
	_, err := w.c.answer("services")
	return &api.ServiceList{WorkspaceID: testID, Count: len(w.c.live.services), RunningCount: 1, Services: w.c.live.services}, err
}

func (w fakeWorkspace) aService(op, name string) (*api.Service, error) {
	_, err := w.c.answer(op + " " + name)
	return &w.c.live.service, err
}

func (w fakeWorkspace) Service(_ context.Context, name string) (*api.Service, error) {
	return w.aService("status", name)
}

func (w fakeWorkspace) StopService(_ context.Context, name string) (*api.Service, error) {
	return w.aService("stop", name)
}

func (w fakeWorkspace) RestartService(_ context.Context, name string) (*api.Service, error) {
	return w.aService("restart", name)
}

func (w fakeWorkspace) ServiceLogs(_ context.Context, name string, lines int) (*api.ServiceLogs, error) {
	_, err := w.c.answer([]any{"logs", name, lines})
	return &w.c.live.logs, err
}

func (w fakeWorkspace) FollowService(ctx context.Context, name string, lines int, stdout, stderr io.Writer) (*api.Service, error) {
	if _, err := w.c.answer([]any{"follow", name, lines}); err != nil {
		return nil, err
	}
	if err := w.c.live.follow(ctx, stdout, stderr); err != nil {
		return nil, err
	}
	s := w.c.live.service
	s.State, s.ExitCode, s.PublishedPorts = api.ServiceExited, new(0), nil
	return &s, nil
}

func (w fakeWorkspace) SetSecret(_ context.Context, secret api.SecretValue) (*api.SecretList, error) {
	_, err := w.c.answer(secret)
	return w.secrets(), err
}

func (w fakeWorkspace) UnsetSecret(_ context.Context, name string) (*api.SecretList, error) {
	_, err := w.c.answer("unset " + name)
	return w.secrets(), err
}

func (w fakeWorkspace) Secrets(context.Context) (*api.SecretList, error) {
	_, err := w.c.answer("secrets")
	return w.secrets(), err
}

func (w fakeWorkspace) secrets() *api.SecretList {
	return &api.SecretList{WorkspaceID: testID, Count: len(w.c.live.secretList), Secrets: w.c.live.secretList}
}

// Resize notes the size.
func (p *fakeProcess) Resize(size api.TerminalSize) error {
	select {
	case p.sizes <- size:
	case <-p.ctx.Done():
	}
	return nil
}

// testPatience bounds what a test waits for.
const testPatience = 10 * time.Second
