package pyro

import (
	"context"
	"io"
	"time"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// VsockExecClient talks to a guest agent directly, without a supervisor: to one of
// pyro through the agent_socket of a workspace, to that of the product that pyro
// succeeds, or to any other that speaks their protocol on vsock port 5005. Every
// call has a connection of its own, and they may be concurrent. Prefer [Workspace]
// where there is one: what is done here stands in no history.
type VsockExecClient struct{ agent wire.Client }

// NewVsockExecClient returns a client for the agent behind the unix socket of a
// bridge (`CONNECT 5005`), or, if udsPath is empty, at a context id over AF_VSOCK.
// With neither, every call fails with api.Unsupported. Nothing is dialled yet.
func NewVsockExecClient(udsPath string, cid uint32) *VsockExecClient {
	return &VsockExecClient{agent: wire.Client{Dial: wire.Transport(udsPath, cid, wire.Port)}}
}

// What an agent answers. Its words are the guest's: not to be trusted.
type (
	// AgentExec is what came of a command.
	AgentExec = wire.ExecReply
	// AgentArchive says what was unpacked.
	AgentArchive = wire.ArchiveReply
	// AgentExport is a tar on its way; the caller closes it.
	AgentExport = wire.Export
	// AgentList is a directory.
	AgentList = wire.ListReply
	// AgentFile is a file's content.
	AgentFile = wire.FileContent
	// AgentWrite says what was written.
	AgentWrite = wire.WriteReply
	// AgentDelete says what was deleted.
	AgentDelete = wire.DeleteReply
)

// Exec runs a line by /bin/sh -lc and captures its output. The timeout is rounded up
// to whole seconds and strikes in the guest, with exit code 124.
func (c *VsockExecClient) Exec(ctx context.Context, line string, timeout time.Duration, env map[string]string) (AgentExec, error) {
	return c.agent.Exec(ctx, wire.ExecRequest{
		Command: wire.LaxString(line), TimeoutSeconds: wire.LaxInt(seconds(timeout)), Env: wire.LaxEnv(env),
	})
}

// UploadArchive unpacks a tar of exactly size bytes in the guest, at or below
// /workspace.
func (c *VsockExecClient) UploadArchive(ctx context.Context, destination string, archive io.Reader, size int64) (AgentArchive, error) {
	return c.agent.ExtractArchive(ctx, destination, archive, size)
}

// InstallSecrets replaces the guest's secrets by the files of a tar of exactly size
// bytes.
func (c *VsockExecClient) InstallSecrets(ctx context.Context, archive io.Reader, size int64) (AgentArchive, error) {
	return c.agent.InstallSecrets(ctx, archive, size)
}

// ExportArchive asks for a tar of a path at or below /workspace. Unpack it only with
// what a hostile archive cannot lead out of its directory.
func (c *VsockExecClient) ExportArchive(ctx context.Context, path string) (*AgentExport, error) {
	return c.agent.ExportArchive(ctx, path)
}

// ListWorkspaceEntries lists a path at or below /workspace, with Recursive all
// that is below it.
func (c *VsockExecClient) ListWorkspaceEntries(ctx context.Context, path string, depth Depth) (AgentList, error) {
	return c.agent.List(ctx, wire.ListRequest{Path: wire.LaxString(path), Recursive: depth == Recursive})
}

// Depth says how far a list goes down.
type Depth int

// How far a list goes down.
const (
	Flat Depth = iota
	Recursive
)

// ReadWorkspaceFile reads a regular file of at most maxBytes bytes; 1 MiB is the
// most that is allowed.
func (c *VsockExecClient) ReadWorkspaceFile(ctx context.Context, path string, maxBytes int) (AgentFile, error) {
	return c.agent.ReadFile(ctx, path, maxBytes)
}

// WriteWorkspaceFile replaces a regular file by text of at most 1 MiB, or makes one.
func (c *VsockExecClient) WriteWorkspaceFile(ctx context.Context, path, text string) (AgentWrite, error) {
	return c.agent.WriteFile(ctx, path, text)
}

// DeleteWorkspacePath removes a file or a symbolic link.
func (c *VsockExecClient) DeleteWorkspacePath(ctx context.Context, path string) (AgentDelete, error) {
	return c.agent.Delete(ctx, path)
}
