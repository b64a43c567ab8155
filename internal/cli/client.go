package cli

import (
	"context"
	"io"
	"time"

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
	// Wait returns when the command has ended and its output is written. The
	// command's own failure is no error.
	Wait() (*api.WorkspaceExec, error)
}

// command is what a process is started from.
type command struct {
	Argv    []string
	Timeout time.Duration
	Stdin   io.Reader // nil: empty
	Stdout  io.Writer
	Stderr  io.Writer
}

// lifetime says what ends a workspace besides its time to live.
type lifetime int

const (
	untilDeleted lifetime = iota
	withUs                // it ends with this process, however that ends
)
