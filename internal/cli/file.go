package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) fileCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "file",
		Short:   "look at files of a workspace and change them",
		GroupID: groupWork,
		Long: `Works on files below /workspace. Paths are relative to /workspace, or absolute and
in it. A symbolic link is a thing of its own: it is listed, moved and deleted, and
never followed, on the way to a file either.`,
		Example: `  pyro workspace file list 0123456789ab --recursive
  pyro workspace file read 0123456789ab src/main.c
  pyro workspace file write 0123456789ab notes.txt --text 'look at main.c'
  pyro workspace file delete 0123456789ab build --recursive`,
	}
	cmd.AddCommand(
		a.fileListCommand(), a.fileReadCommand(), a.fileWriteCommand(), a.fileStatCommand(),
		a.fileMkdirCommand(), a.fileMoveCommand(), a.fileDeleteCommand(),
	)
	return cmd
}

func (a *app) fileListCommand() *cobra.Command {
	req := api.FileListRequest{Path: api.WorkspacePath}
	cmd := &cobra.Command{
		Use:   "list WORKSPACE_ID [PATH]",
		Short: "show what is in a directory",
		Long: `Shows a line for each thing in a directory, by name: its path, what it is, how many
bytes it has, and where a link leads. Of something that is no directory it is the one
line. FIFOs, sockets and devices are shown as special. A name that a terminal would
not show as it is, is quoted.`,
		Example: `  pyro workspace file list 0123456789ab
  pyro workspace file list 0123456789ab src --recursive --json
  pyro workspace file list 0123456789ab --recursive --limit 1000 --after src/main.c`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 2:
				return misuse(cmd, "unrecognized arguments: %s", strings.Join(args[2:], " "))
			case len(args) == 2 && args[1] == "":
				return invalid("path is empty", "leave it out for /workspace")
			case len(args) == 2:
				req.Path = args[1]
			}
			if err := typedZero(cmd, "limit", "limit", req.Limit, api.MaxListEntries); err != nil {
				return err
			}
			if _, err := req.Check(); err != nil {
				return err
			}
			return a.fileList(cmd.Context(), args[0], req)
		},
		ValidArgsFunction: a.completeIDs(a.completePaths, api.StateStarted),
	}
	f := cmd.Flags()
	f.BoolVar(&req.Recursive, "recursive", false, "show also what is in the directories in it")
	intFlag(f, &req.Limit, "limit", "N", api.MaxListEntries, "show at most so much, 1 to %d", api.MaxListEntries)
	f.Var(textValue{&req.After, "PATH"}, "after", "show what comes after this path in the list")
	a.jsonFlag(f)
	return cmd
}

// typedZero refuses a 0 where it would mean the default.
func typedZero(cmd *cobra.Command, flag, field string, value, high int) error {
	if value == 0 && cmd.Flags().Changed(flag) {
		return invalid(fmt.Sprintf("%s is 0, allowed are 1 to %d", field, high), "choose a value in that range")
	}
	return nil
}

func (a *app) fileList(ctx context.Context, id string, req api.FileListRequest) error {
	const tag = "workspace-file-list"
	list, err := awaitOf(ctx, a, tag, id, func(ctx context.Context, ws workspace) (*api.FileList, error) {
		return ws.Files().List(ctx, req)
	})
	if err != nil {
		return err
	}
	if err := a.show(list, func() string { return fileLines(list) }); err != nil {
		return err
	}
	if list.Truncated && list.NextAfter != nil && !a.json {
		a.say("[%s] truncated=yes; there is more: --after %s", tag, shownPath(*list.NextAfter))
	}
	return nil
}

// fileLines is a list, one line an entry.
func fileLines(list *api.FileList) string {
	p := &page{}
	p.line("Workspace path: %s (recursive=%s)", shownPath(list.Path), yesNo(list.Recursive))
	if len(list.Entries) == 0 {
		p.line("No workspace entries found.")
	}
	for i := range list.Entries {
		p.line("%s", entryLine(&list.Entries[i]))
	}
	return p.String()
}

func entryLine(e *api.FileEntry) string {
	line := fmt.Sprintf("%s [%s] size=%d", entryPath(e), e.ArtifactType, e.SizeBytes)
	if e.LinkTarget != nil {
		line += " -> " + shownPath(*e.LinkTarget)
	}
	return line
}

// entryPath is the path of an entry as bytes, quoted where that is needed.
func entryPath(e *api.FileEntry) string {
	if e.PathBase64 != nil {
		if exact, err := base64.StdEncoding.DecodeString(*e.PathBase64); err == nil {
			return shownPath(string(exact))
		}
	}
	return shownPath(e.Path)
}

// shownPath is a path of a guest for a line of ours: quoted where a terminal would do
// something with it, or two could look alike.
func shownPath(path string) string {
	if oneLine(path) != path || strings.HasPrefix(path, "'") || strings.HasPrefix(path, `"`) {
		return quote(path)
	}
	return path
}

func (a *app) fileStatCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stat WORKSPACE_ID PATH",
		Short: "show what one path is",
		Long:  `Shows what a path is: a file, a directory, a link (which is not followed) or special.`,
		Example: `  pyro workspace file stat 0123456789ab src/main.c
  pyro workspace file stat 0123456789ab src/main.c --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			stat, err := fileQuestion(cmd.Context(), a, "stat", args[0], args[1], func(ctx context.Context, f files) (*api.FileStat, error) {
				return f.Stat(ctx, args[1])
			})
			if err != nil {
				return err
			}
			return a.show(stat, func() string { return statLine(stat) })
		},
		ValidArgsFunction: a.completeIDs(a.completePaths, api.StateStarted),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func statLine(s *api.FileStat) string {
	line := fmt.Sprintf("[workspace-file-stat] workspace_id=%s path=%s artifact_type=%s size_bytes=%d mode=%s modified_at=%s",
		s.WorkspaceID, entryPath(&s.FileEntry), s.ArtifactType, s.SizeBytes, s.Mode, s.ModifiedAt)
	if s.LinkTarget != nil {
		line += " link_target=" + shownPath(*s.LinkTarget)
	}
	return oneLine(line) + "\n"
}

// fileQuestion asks a workspace about one path, which is looked at first.
func fileQuestion[T any](ctx context.Context, a *app, name, id, path string, f func(context.Context, files) (*T, error)) (*T, error) {
	if _, err := api.GuestPath("path", path); err != nil {
		return nil, err
	}
	return awaitOf(ctx, a, "workspace-file-"+name, id, func(ctx context.Context, ws workspace) (*T, error) {
		return f(ctx, ws.Files())
	})
}

func (a *app) fileMkdirCommand() *cobra.Command {
	var req api.FileMkdirRequest
	cmd := &cobra.Command{
		Use:   "mkdir WORKSPACE_ID PATH",
		Short: "make a directory",
		Long:  `Makes a directory of mode 0755.`,
		Example: `  pyro workspace file mkdir 0123456789ab out
  pyro workspace file mkdir 0123456789ab out/report/2 --parents`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Path = args[1]
			made, err := fileQuestion(cmd.Context(), a, "mkdir", args[0], args[1], func(ctx context.Context, f files) (*api.FileMkdir, error) {
				return f.Mkdir(ctx, req)
			})
			if err != nil {
				return err
			}
			return a.show(made, func() string {
				return oneLine(fmt.Sprintf("[workspace-file-mkdir] workspace_id=%s path=%s execution_mode=%s", made.WorkspaceID, shownPath(made.Path), made.ExecutionMode)) + "\n"
			})
		},
		ValidArgsFunction: a.completeIDs(a.completePaths, api.StateStarted),
	}
	cmd.Flags().BoolVar(&req.Parents, "parents", false, "make those above it too; one that is there is no error")
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) fileMoveCommand() *cobra.Command {
	var req api.FileMoveRequest
	cmd := &cobra.Command{
		Use:   "move WORKSPACE_ID FROM_PATH TO_PATH",
		Short: "give something another name",
		Long: `Gives a file, a link or a directory another name. TO_PATH is that name itself, not a
directory to put it into; what has it already stays, and that is an error.`,
		Example: `  pyro workspace file move 0123456789ab draft.txt docs/final.txt
  pyro workspace file move 0123456789ab new.conf app.conf --overwrite`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.From, req.To = args[1], args[2]
			if _, err := req.Check(); err != nil {
				return err
			}
			moved, err := fileQuestion(cmd.Context(), a, "move", args[0], args[1], func(ctx context.Context, f files) (*api.FileMove, error) {
				return f.Move(ctx, req)
			})
			if err != nil {
				return err
			}
			return a.show(moved, func() string {
				return oneLine(fmt.Sprintf("[workspace-file-move] workspace_id=%s from_path=%s to_path=%s execution_mode=%s",
					moved.WorkspaceID, shownPath(moved.FromPath), shownPath(moved.ToPath), moved.ExecutionMode)) + "\n"
			})
		},
		ValidArgsFunction: a.completeIDs(a.completePaths, api.StateStarted),
	}
	cmd.Flags().BoolVar(&req.Overwrite, "overwrite", false, "replace the file or link that has that name")
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) fileDeleteCommand() *cobra.Command {
	var req api.FileDeleteRequest
	cmd := &cobra.Command{
		Use:   "delete WORKSPACE_ID PATH",
		Short: "remove a file, a link or a directory",
		Long: `Removes a file or a link, or a directory with all that is in it where that is asked
for. Of a link only the link itself goes.`,
		Example: `  pyro workspace file delete 0123456789ab notes.txt
  pyro workspace file delete 0123456789ab build --recursive`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Path = args[1]
			if _, err := req.Check(); err != nil {
				return err
			}
			gone, err := fileQuestion(cmd.Context(), a, "delete", args[0], args[1], func(ctx context.Context, f files) (*api.FileDelete, error) {
				return f.Delete(ctx, req)
			})
			if err != nil {
				return err
			}
			return a.show(gone, func() string {
				return oneLine(fmt.Sprintf("[workspace-file-delete] workspace_id=%s path=%s execution_mode=%s", gone.WorkspaceID, shownPath(gone.Path), gone.ExecutionMode)) + "\n"
			})
		},
		ValidArgsFunction: a.completeIDs(a.completePaths, api.StateStarted),
	}
	cmd.Flags().BoolVar(&req.Recursive, "recursive", false, "remove a directory with all that is in it")
	a.jsonFlag(cmd.Flags())
	return cmd
}
