package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// export is what workspace export was told.
type export struct {
	id, path, output string
	pyro.ExportOptions
}

func (a *app) exportCommand() *cobra.Command {
	x := export{ExportOptions: pyro.ExportOptions{Format: api.ExportDir}}
	cmd := &cobra.Command{
		Use:     "export WORKSPACE_ID PATH",
		Short:   "bring a file, directory or symlink out of a workspace",
		GroupID: groupWork,
		Long: `Brings a file, directory or symlink below /workspace to a new path of this machine.
Nothing is there before all of it is. Modes, times and links are kept, and links are
not followed; set-id bits, owners, devices, FIFOs and sockets are not. What would run
by itself on this machine is named in warnings, and the hooks and the configuration
of git stay behind unless they are as they were in the seed.`,
		Example: `  pyro workspace export 0123456789ab /workspace --output ./result
  pyro workspace export 0123456789ab dist/app --output ./app --force
  pyro workspace export 0123456789ab . --output - --format tar | tar -tvf -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			x.id, x.path = args[0], args[1]
			return a.export(cmd, x)
		},
		ValidArgsFunction: a.completeIDs(a.completePaths, api.StateStarted),
	}
	f := cmd.Flags()
	f.Var(pathValue{&x.output, "PATH"}, "output", "where it goes, a path where nothing is yet; - is stdout, with --format tar")
	f.BoolVar(&x.Force, "force", false, "replace what is at --output, whatever it is")
	f.Var(choiceValue{&x.Format, "FORMAT", []string{api.ExportDir, api.ExportTar}}, "format", "dir, as it is in the workspace, or tar, one archive")
	f.BoolVar(&x.AllowAutorun, "allow-autorun", false, "take along git hooks and configuration that are not as in the seed")
	f.BoolVar(&x.AllowCollisions, "allow-collisions", false, "take along names that some file systems take for the same")
	a.jsonFlag(f)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{api.ExportDir, api.ExportTar}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) export(cmd *cobra.Command, x export) error {
	piped := x.output == "-"
	switch {
	case !cmd.Flags().Changed("output"):
		return misuse(cmd, "the following arguments are required: --output")
	case x.output == "":
		return invalid("output_path must not be empty", "name a path where nothing is yet")
	case piped && x.Format != api.ExportTar:
		return misuse(cmd, "argument --output: - needs --format tar")
	case piped && a.json:
		return misuse(cmd, "argument --json: not allowed with argument --output -")
	case piped && a.terminal(a.Stdout):
		return invalid("an archive is not for a terminal", "pipe it into tar, or name a file with --output")
	}
	done, err := a.bringOut(cmd.Context(), x)
	if err != nil {
		return err
	}
	for _, w := range done.Warnings {
		a.phase("[warning] %s", w)
	}
	if piped {
		a.say("%s", exportLine(done))
		return nil
	}
	return a.show(done, func() string { return oneLine(exportLine(done)) + "\n" })
}

func (a *app) bringOut(ctx context.Context, x export) (*api.Export, error) {
	const tag = "workspace-export"
	shown := a.newProgress(tag)
	x.Progress = shown.tell("export")
	return awaitWith(ctx, a, tag, shown, func(ctx context.Context) (*api.Export, error) {
		ws, err := a.get(ctx, x.id)
		if err != nil {
			return nil, err
		}
		if x.output == "-" {
			return ws.ExportTo(ctx, x.path, pipedOut{a.Stdout}, &x.ExportOptions)
		}
		return ws.Export(ctx, x.path, x.output, &x.ExportOptions)
	})
}

// pipedOut is our stdout, whose reader may go.
type pipedOut struct{ to io.Writer }

// Write implements io.Writer.
func (p pipedOut) Write(data []byte) (int, error) {
	n, err := p.to.Write(data)
	if err != nil {
		err = newOutputError(p.to, "stdout", err)
	}
	return n, err
}

func exportLine(x *api.Export) string {
	line := fmt.Sprintf("[workspace-export] workspace_id=%s workspace_path=%s output_path=%s artifact_type=%s entry_count=%d bytes_written=%d execution_mode=%s",
		x.WorkspaceID, shownPath(x.WorkspacePath), shownPath(x.OutputPath), x.ArtifactType, x.EntryCount, x.BytesWritten, x.ExecutionMode)
	if x.Skipped != 0 {
		line += fmt.Sprintf(" skipped=%d", x.Skipped)
	}
	return line
}
