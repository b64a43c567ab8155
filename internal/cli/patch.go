package cli

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) patchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "patch",
		Short:   "change files of a workspace by a patch",
		GroupID: groupWork,
		Long:    `Changes files of a workspace as a patch says: all of it, or nothing.`,
		Example: `  git diff | pyro workspace patch apply 0123456789ab --patch-file -`,
	}
	cmd.AddCommand(a.patchApplyCommand())
	return cmd
}

// patching is what workspace patch apply was told.
type patching struct {
	text, file string
	req        api.PatchRequest
}

func (a *app) patchApplyCommand() *cobra.Command {
	var p patching
	cmd := &cobra.Command{
		Use:   "apply WORKSPACE_ID",
		Short: "apply a patch",
		Long: `Applies what git diff or diff -u prints: changed, new, deleted, renamed and copied
files, modes, links and binary files. Every hunk is compared with the files first,
line by line, where it says or at the only other place where it fits; then all of it
is put in place, or, if one does not fit, nothing. The error names the file, the hunk,
and the lines that differ.`,
		Example: `  git diff | pyro workspace patch apply 0123456789ab --patch-file -
  pyro workspace patch apply 0123456789ab --patch-file fix.patch --check
  pyro workspace patch apply 0123456789ab --patch "$(cat fix.patch)" --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f := cmd.Flags()
			if f.Changed("patch") == f.Changed("patch-file") {
				return misuse(cmd, "exactly one of the arguments --patch and --patch-file is required")
			}
			if f.Changed("patch-file") && p.file == "" {
				return invalid("--patch-file is empty", "name a file, or - for stdin")
			}
			if err := typedZero(cmd, "max-bytes", "max_bytes", p.req.MaxBytes, api.MaxPatchBytes); err != nil {
				return err
			}
			if _, err := p.req.Check(); err != nil {
				return err
			}
			return a.patchApply(cmd.Context(), args[0], p)
		},
		ValidArgsFunction: a.completeIDs(nil, api.StateStarted),
	}
	f := cmd.Flags()
	f.Var(textValue{&p.text, "TEXT"}, "patch", "the patch itself")
	f.Var(pathValue{&p.file, "FILE"}, "patch-file", "a file here with the patch; - is stdin")
	f.BoolVar(&p.req.DryRun, "check", false, "say whether it applies, and change nothing")
	intFlag(f, &p.req.MaxBytes, "max-bytes", "N", api.DefaultPatchBytes, "refuse a longer one, 1 to %d bytes", api.MaxPatchBytes)
	a.jsonFlag(f)
	return cmd
}

func (a *app) patchApply(ctx context.Context, id string, p patching) error {
	const tag = "workspace-patch"
	done, err := await(ctx, a, tag, func(ctx context.Context) (*api.Patch, error) {
		patch := []byte(p.text)
		if p.file != "" {
			var err error
			if patch, err = a.readLocal("patch file", p.file, int64(p.req.MaxBytes)); err != nil {
				return nil, err
			}
		}
		if err := api.CheckPatch(string(patch), p.req.MaxBytes); err != nil {
			return nil, err
		}
		ws, err := a.get(ctx, id)
		if err != nil {
			return nil, err
		}
		return ws.ApplyPatch(ctx, bytes.NewReader(patch), p.req)
	})
	if err != nil {
		return err
	}
	return a.show(done, func() string { return patchLine(tag, done) })
}

func patchLine(tag string, p *api.Patch) string {
	line := fmt.Sprintf("[%s] workspace_id=%s total=%d added=%d modified=%d deleted=%d execution_mode=%s",
		tag, p.WorkspaceID, p.Summary.Total, p.Summary.Added, p.Summary.Modified, p.Summary.Deleted, p.ExecutionMode)
	if p.Summary.TypeChanged != 0 {
		line += fmt.Sprintf(" type_changed=%d", p.Summary.TypeChanged)
	}
	if p.Checked {
		line += " checked=yes"
	}
	return oneLine(line) + "\n"
}
