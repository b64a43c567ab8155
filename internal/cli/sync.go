package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) syncCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "sync",
		Short:   "bring files of this machine into a workspace",
		GroupID: groupWork,
		Long:    `Brings files of this machine into a workspace that runs.`,
		Example: "  pyro workspace sync push 0123456789ab .",
	}
	cmd.AddCommand(a.pushCommand())
	return cmd
}

// push is what workspace sync push was told.
type push struct {
	selection
	whole       bool
	destination string
}

func (a *app) pushCommand() *cobra.Command {
	p := push{destination: api.WorkspacePath}
	cmd := &cobra.Command{
		Use:   "push WORKSPACE_ID SOURCE_PATH",
		Short: "put a directory or tar archive into a workspace",
		Long: `Puts the members of a directory, or of a tar archive (plain, or compressed with
gzip, zstd, xz or bzip2), over what is in a workspace. Modes, times and links come
along, and nothing is deleted. Of a directory that was pushed to the same place
before only what differs is sent. A push that fails has changed nothing.`,
		Example: `  pyro workspace sync push 0123456789ab .
  pyro workspace sync push 0123456789ab ./src --dest /workspace/src
  pyro workspace sync push 0123456789ab . --gitignore --exclude .git`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] == "" {
				return invalid("source_path must not be empty", "name a directory or a tar archive; . is this directory")
			}
			return a.push(cmd.Context(), args[0], args[1], p)
		},
		ValidArgsFunction: a.completeIDs(completeFile, api.StateStarted),
	}
	f := cmd.Flags()
	f.Var(textValue{&p.destination, "PATH"}, "dest", "the directory to put it into, /workspace or below")
	p.flags(f)
	f.BoolVar(&p.whole, "whole", false, "send also what is there already")
	a.jsonFlag(f)
	return cmd
}

func (a *app) push(ctx context.Context, id, path string, p push) error {
	const tag = "workspace-sync"
	from := p.of(path)
	from.Whole = p.whole
	shown := a.newProgress(tag)
	from.Progress = shown.tell("sync")
	done, err := awaitWith(ctx, a, tag, shown, func(ctx context.Context) (*api.Sync, error) {
		ws, err := a.get(ctx, id)
		if err != nil {
			return nil, err
		}
		return ws.Push(ctx, from, p.destination)
	})
	if err != nil {
		return err
	}
	return a.show(done, func() string { return syncLine(done) })
}

func syncLine(s *api.Sync) string {
	n := s.WorkspaceSync
	line := fmt.Sprintf("[workspace-sync] workspace_id=%s mode=%s source=%s destination=%s entry_count=%d bytes_written=%d execution_mode=%s",
		s.WorkspaceID, n.Mode, n.SourcePath, n.Destination, n.EntryCount, n.BytesWritten, s.ExecutionMode)
	if n.UnchangedCount != 0 {
		line += fmt.Sprintf(" unchanged_count=%d", n.UnchangedCount)
	}
	if n.SkippedCount != 0 {
		line += fmt.Sprintf(" skipped_count=%d", n.SkippedCount)
	}
	return oneLine(line) + "\n"
}
