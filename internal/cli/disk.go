package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) diskCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "disk",
		Short:   "look at the disk of a stopped workspace",
		GroupID: groupLook,
		Long: `Shows or brings out what lies on the disk of a workspace that is stopped, without
starting it: a sandbox without network, secrets or any program of the guest reads the
disk, and this machine never does. A relative path counts from /workspace; an absolute
one is any path of the guest. Links are not followed.`,
		Example: `  pyro workspace disk list 0123456789ab --recursive
  pyro workspace disk read 0123456789ab /etc/os-release --content-only
  pyro workspace disk export 0123456789ab --output disk.tar`,
	}
	cmd.AddCommand(a.diskListCommand(), a.diskReadCommand(), a.diskExportCommand())
	return cmd
}

func (a *app) diskListCommand() *cobra.Command {
	var recursive bool
	cmd := &cobra.Command{
		Use:   "list WORKSPACE_ID [PATH]",
		Short: "list a directory of a stopped workspace's disk",
		Long: `Lists a directory of the disk by path, /workspace unless another is named. Devices,
FIFOs and sockets are left out, and what is not on the disk: /proc, /sys, /dev, /run.`,
		Example: "  pyro workspace disk list 0123456789ab\n  pyro workspace disk list 0123456789ab /etc --recursive --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			path := api.WorkspacePath
			if len(args) > 1 {
				if path = args[1]; path == "" { // what is not set is not all
					return invalid("path is empty", "leave it out for /workspace")
				}
			}
			req, err := api.DiskListRequest{Path: path, Recursive: recursive}.Check()
			if err != nil {
				return err
			}
			list, err := awaitOf(cmd.Context(), a, "workspace-disk-list", args[0], func(ctx context.Context, ws workspace) (*api.DiskList, error) {
				return ws.DiskList(ctx, req)
			})
			if err != nil {
				return err
			}
			return a.show(list, func() string { return diskLines(list) })
		},
		ValidArgsFunction: a.completeIDs(nil, api.StateStopped),
	}
	cmd.Flags().BoolVar(&recursive, "recursive", false, "all that is below it, too")
	a.jsonFlag(cmd.Flags())
	return cmd
}

// diskLines is a list, one line an entry.
func diskLines(list *api.DiskList) string {
	p := &page{}
	p.line("Workspace disk path: %s (recursive=%s)", shownPath(list.Path), yesNo(list.Recursive))
	if len(list.Entries) == 0 {
		p.line("No workspace disk entries found.")
	}
	for i := range list.Entries {
		p.line("%s", entryLine(&list.Entries[i]))
	}
	if list.Truncated {
		p.line("There are more: list a directory further down.")
	}
	return p.String()
}

func (a *app) diskReadCommand() *cobra.Command {
	var req api.DiskReadRequest
	var contentOnly bool
	cmd := &cobra.Command{
		Use:   "read WORKSPACE_ID PATH",
		Short: "show what a file on a stopped workspace's disk holds",
		Long: `Shows the first bytes of a regular file as text; what is not UTF-8 is shown as U+FFFD,
and truncated says whether it goes on. For the bytes of a whole file: disk export
with --path.`,
		Example: "  pyro workspace disk read 0123456789ab build.log\n  pyro workspace disk read 0123456789ab /etc/passwd --max-bytes 200 --content-only",
		RunE: func(cmd *cobra.Command, args []string) error {
			if contentOnly && a.json {
				return misuse(cmd, "argument --json: not allowed with argument --content-only")
			}
			req.Path = args[1]
			if err := typedZero(cmd, "max-bytes", "max_bytes", req.MaxBytes, api.MaxDiskRead); err != nil {
				return err
			}
			checked, err := req.Check()
			if err != nil {
				return err
			}
			return a.diskRead(cmd.Context(), args[0], checked, contentOnly)
		},
		ValidArgsFunction: a.completeIDs(nil, api.StateStopped),
	}
	f := cmd.Flags()
	intFlag(f, &req.MaxBytes, "max-bytes", "N", api.DefaultReadBytes, "how much to show, 1 to %d bytes", api.MaxDiskRead)
	f.BoolVar(&contentOnly, "content-only", false, "print the text and nothing else, no line end added")
	a.jsonFlag(f)
	return cmd
}

func (a *app) diskRead(ctx context.Context, id string, req api.DiskReadRequest, contentOnly bool) error {
	const tag = "workspace-disk-read"
	got, err := awaitOf(ctx, a, tag, id, func(ctx context.Context, ws workspace) (*api.DiskRead, error) { return ws.DiskRead(ctx, req) })
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(got)
	case contentOnly:
		return a.pass(a.Stdout, "stdout", got.Content)
	}
	if err := a.relay(a.Stdout, "stdout", got.Content); err != nil {
		return err
	}
	a.say("[%s] workspace_id=%s path=%s size_bytes=%d truncated=%s", tag, got.WorkspaceID, shownPath(got.Path), got.SizeBytes, yesNo(got.Truncated))
	return nil
}

func (a *app) diskExportCommand() *cobra.Command {
	var req api.DiskExportRequest
	var output string
	cmd := &cobra.Command{
		Use:   "export WORKSPACE_ID",
		Short: "bring a stopped workspace's disk out as one file",
		Long: `Writes a file that must not be there yet. As tar it holds a path of the disk,
/workspace unless --path names another; devices, FIFOs, sockets, owners and set-id
bits are left out. As image it holds the files that the engine saved, with their
digests: all that was ever written, in the engine's own format, for the pyro that
saved it.`,
		Example: `  pyro workspace disk export 0123456789ab --output workspace.tar
  pyro workspace disk export 0123456789ab --path /etc --output etc.tar --json
  pyro workspace disk export 0123456789ab --format image --output disk.tar`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("output") {
				return misuse(cmd, "the following arguments are required: --output")
			}
			checked, err := req.Check()
			switch output {
			case "":
				err = cmp.Or(err, invalid("output_path must not be empty", "name a path where nothing is yet"))
			case "-":
				err = cmp.Or(err, invalid("output_path is -, and it cannot be stdout", "name a file, or ./- for one that is called so"))
			}
			if err = cmp.Or(err, notBlank(cmd, "path", "leave it out for "+api.WorkspacePath)); err != nil {
				return err
			}
			done, err := awaitOf(cmd.Context(), a, "workspace-disk-export", args[0], func(ctx context.Context, ws workspace) (*api.DiskExport, error) {
				return ws.DiskExport(ctx, output, checked)
			})
			if err != nil {
				return err
			}
			return a.show(done, func() string { return diskExportLine(done) })
		},
		ValidArgsFunction: a.completeIDs(nil, api.StateStopped),
	}
	formats := []string{api.DiskTar, api.DiskImage}
	req.Format = api.DiskTar
	f := cmd.Flags()
	f.Var(pathValue{&output, "FILE"}, "output", "where it goes, a path where nothing is yet")
	f.Var(choiceValue{&req.Format, "FORMAT", formats}, "format", "tar, a path as an archive, or image, the disk as the engine saved it")
	f.Var(textValue{&req.Path, "PATH"}, "path", "what of the disk a tar holds")
	f.Lookup("path").DefValue = api.WorkspacePath
	a.jsonFlag(f)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func diskExportLine(x *api.DiskExport) string {
	line := fmt.Sprintf("[workspace-disk-export] workspace_id=%s output_path=%s disk_format=%s bytes_written=%d", x.WorkspaceID, shownPath(x.OutputPath), x.DiskFormat, x.BytesWritten)
	if x.Skipped > 0 {
		line += fmt.Sprintf(" skipped=%d", x.Skipped)
	}
	return oneLine(line) + "\n"
}
