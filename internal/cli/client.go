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
	Prepare(ctx context.Context, environment string, opts *pyro.PrepareOptions) (*api.Prepare, error)
	// Doctor is what a server says of its machine.
	Doctor(ctx context.Context, req api.DoctorRequest) (*api.Doctor, error)
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
	// History is Logs with what ran before resets, too.
	History(ctx context.Context, last int) (*api.WorkspaceLogs, error)
	// Push puts a tree into the workspace; destination empty means its root.
	Push(ctx context.Context, from source, destination string) (*api.Sync, error)

	shells
	services
	secrets
	filed
	trees
	differ
	reports
	disk
	states
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

// states are earlier states of a workspace, and copies of it, see the SDK for each.
type states interface {
	CreateSnapshot(ctx context.Context, name string) (*api.SnapshotCreate, error)
	Snapshots(ctx context.Context) (*api.SnapshotList, error)
	DeleteSnapshot(ctx context.Context, name string) (*api.SnapshotDelete, error)
	Reset(ctx context.Context, req api.ResetRequest) (*api.Reset, error)
	Fork(ctx context.Context, req api.ForkRequest) (*api.Fork, error)
}

// reports tell of a workspace, see the SDK for each.
type reports interface {
	Summary(ctx context.Context) (*api.Summary, error)
	Events(ctx context.Context, after int64) (*api.EventList, error)
	FollowEvents(ctx context.Context, after int64, each func(api.Event) error) error
}

// disk is what can be asked about the disk of a stopped workspace, see the SDK.
type disk interface {
	DiskList(ctx context.Context, req api.DiskListRequest) (*api.DiskList, error)
	DiskRead(ctx context.Context, req api.DiskReadRequest) (*api.DiskRead, error)
	DiskExport(ctx context.Context, output string, req api.DiskExportRequest) (*api.DiskExport, error)
}

// trees bring what is in a workspace to this machine, see the SDK for each.
type trees interface {
	Export(ctx context.Context, path, output string, opts *pyro.ExportOptions) (*api.Export, error)
	Apply(ctx context.Context, dir string, opts *pyro.ApplyOptions) (*api.Apply, error)
	ExportTo(ctx context.Context, path string, out io.Writer, opts *pyro.ExportOptions) (*api.Export, error)
}

// filed gives what works on files, see the SDK for each.
type filed interface {
	Files() files
	ApplyPatch(ctx context.Context, patch io.Reader, req api.PatchRequest) (*api.Patch, error)
}

// files are the files of a workspace.
type files interface {
	List(ctx context.Context, req api.FileListRequest) (*api.FileList, error)
	Stat(ctx context.Context, path string) (*api.FileStat, error)
	Read(ctx context.Context, req api.FileReadRequest) (*api.FileRead, error)
	ReadTo(ctx context.Context, req api.FileRangeRequest, w io.Writer) (*api.FileRange, error)
	WriteFrom(ctx context.Context, req api.FileWriteRequest, r io.Reader) (*api.FileWrite, error)
	Delete(ctx context.Context, req api.FileDeleteRequest) (*api.FileDelete, error)
	Mkdir(ctx context.Context, req api.FileMkdirRequest) (*api.FileMkdir, error)
	Move(ctx context.Context, req api.FileMoveRequest) (*api.FileMove, error)
}

// source is a project that goes into a workspace: a directory, a tar archive, or a git
// repository by its address.
type source struct {
	Path        string
	URL, Ref    string   // in place of Path
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
