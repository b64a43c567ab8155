package cli

import (
	"context"
	"io"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// client is what the commands need of the SDK.
type client interface {
	Create(ctx context.Context, req api.CreateRequest, seed *source, life lifetime) (workspace, error)
	StartStopped(ctx context.Context, id string, req api.StartRequest) (*api.Workspace, error)
	Get(ctx context.Context, id string) (workspace, error)
	List(ctx context.Context) (*api.WorkspaceList, error)
	Delete(ctx context.Context, id string) (*api.WorkspaceDelete, error)
}

// workspace is one workspace, or the sandbox of one run.
type workspace interface {
	Seen() *api.Workspace // as it was when Create or Get returned it
	Status(ctx context.Context) (*api.Workspace, error)
	Start(ctx context.Context, c command) (process, error)
	Delete(ctx context.Context) (*api.WorkspaceDelete, error)
	Stop(ctx context.Context, req api.StopRequest) (*api.Workspace, error)
	Update(ctx context.Context, req api.UpdateRequest) (*api.Workspace, error)
	// Logs returns the last commands of the history; last 0 means all of it.
	Logs(ctx context.Context, last int) (*api.WorkspaceLogs, error)
	// Push puts a tree into the workspace; destination empty means its root.
	Push(ctx context.Context, from source, destination string) (*api.Sync, error)

	shells
	services
	secrets
}

// shells are the shells of a workspace, see the SDK for each.
type shells interface {
	OpenShell(ctx context.Context, req api.ShellOpenRequest) (*api.Shell, error)
	Shells(ctx context.Context) (*api.ShellList, error)
	Shell(ctx context.Context, shell string) (*api.Shell, error)
	ReadShell(ctx context.Context, shell string, req api.ShellReadRequest) (*api.ShellRead, error)
	WriteShell(ctx context.Context, shell string, req api.ShellWriteRequest) (*api.ShellWrite, error)
	SignalShell(ctx context.Context, shell, signal string) (*api.ShellSignal, error)
	ResizeShell(ctx context.Context, shell string, size api.TerminalSize) (*api.Shell, error)
	CloseShell(ctx context.Context, shell string) (*api.ShellClose, error)
	AttachShell(ctx context.Context, shell string, with pyro.ShellAttachment) (*api.Shell, error)
}

// services are the services of a workspace, see the SDK for each.
type services interface {
	StartService(ctx context.Context, req api.ServiceStartRequest) (*api.Service, error)
	Services(ctx context.Context) (*api.ServiceList, error)
	Service(ctx context.Context, name string) (*api.Service, error)
	ServiceLogs(ctx context.Context, name string, lines int) (*api.ServiceLogs, error)
	FollowService(ctx context.Context, name string, lines int, stdout, stderr io.Writer) (*api.Service, error)
	StopService(ctx context.Context, name string) (*api.Service, error)
	RestartService(ctx context.Context, name string) (*api.Service, error)
}

// secrets are the secrets of a workspace, see the SDK for each.
type secrets interface {
	SetSecret(ctx context.Context, secret api.SecretValue) (*api.SecretList, error)
	UnsetSecret(ctx context.Context, name string) (*api.SecretList, error)
	Secrets(ctx context.Context) (*api.SecretList, error)
}

// source is a project that goes into a workspace: a directory or a tar archive.
type source struct {
	Path        string
	Exclude     []string // patterns as in .gitignore
	Gitignore   bool     // leave out what git ignores
	SkipSpecial bool     // leave out FIFOs, sockets and devices, which are errors otherwise
	Whole       bool     // of a push: send what is there already, too

	// Progress is told from time to time how much was sent; nil: nobody asks.
	Progress func(entries int, bytes int64)
}

// process is a command that runs in a workspace. It ends at the latest when the
// context of its Start does.
type process interface {
	// Signal asks for a signal by its name without SIG; it may take as long as
	// the connection does.
	Signal(name string) error
	// Resize changes the size of the terminal of a command that has one.
	Resize(size api.TerminalSize) error
	// Wait returns when the command has ended and its output is written. The
	// command's own failure is no error.
	Wait() (*api.WorkspaceExec, error)
}

// command is what a process is started from.
type command struct {
	Argv      []string
	Env       []string // beside the guest's, as K=V
	SecretEnv map[string]string
	Timeout   time.Duration
	Stdin     io.Reader // nil: empty
	Stdout    io.Writer
	Stderr    io.Writer
	TTY       *api.TerminalSize // nil: pipes

	seat *seat // the terminal here that it is joined with; nil: none
}

// lifetime says what ends a workspace besides its time to live.
type lifetime int

const (
	untilDeleted lifetime = iota
	withUs                // it ends with this process, however that ends
)
