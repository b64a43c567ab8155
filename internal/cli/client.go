package cli

import (
	"context"
	"io"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// client is what the commands need of the SDK.
type client interface {
	Create(ctx context.Context, req api.CreateRequest, life lifetime) (workspace, error)
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
