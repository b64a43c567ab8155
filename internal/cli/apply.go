package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// application is what workspace apply was told.
type application struct {
	id, dir string
	pyro.ApplyOptions
}

func (a *app) applyCommand() *cobra.Command {
	x := application{}
	cmd := &cobra.Command{
		Use:     "apply WORKSPACE_ID [DIR]",
		Short:   "bring the changes of a workspace back to the project",
		GroupID: groupWork,
		Long: `Brings what changed in a workspace to the directory that it was seeded from, or to
DIR. All of it is done, or nothing. Where the directory has changed too, git puts
both together if it is a work tree of git; what cannot be is named, and nothing is
changed. The .git of the directory is left alone. With --branch the files are left
alone too: a commit on top of HEAD is made, and a new branch that names it.`,
		Example: `  pyro workspace apply 0123456789ab --dry-run
  pyro workspace apply 0123456789ab
  pyro workspace apply 0123456789ab ~/src/project --branch fix-tests`,
		RunE: func(cmd *cobra.Command, args []string) error {
			x.id = args[0]
			if len(args) > 1 {
				if x.dir = args[1]; x.dir == "" {
					return invalid("dir must not be empty", "leave it out for the directory that the workspace was seeded from")
				}
			}
			if cmd.Flags().Changed("branch") && x.Branch == "" {
				return invalid("branch must not be empty", "leave --branch out to change the files")
			}
			if x.DryRun && x.Branch != "" {
				return misuse(cmd, "argument --branch: not allowed with argument --dry-run")
			}
			return a.apply(cmd.Context(), x)
		},
		ValidArgsFunction: a.completeIDs(completeFile, api.StateStarted),
	}
	f := cmd.Flags()
	f.BoolVar(&x.DryRun, "dry-run", false, "say what would be done, and change nothing")
	f.Var(textValue{&x.Branch, "NAME"}, "branch", "make a commit on a new branch instead of changing files")
	f.BoolVar(&x.AllowAutorun, "allow-autorun", false, "apply files too that would run by themselves on this machine")
	a.jsonFlag(f)
	return cmd
}

func (a *app) apply(ctx context.Context, x application) error {
	const tag = "workspace-apply"
	shown := a.newProgress(tag)
	x.Progress = shown.tell("apply")
	done, err := awaitWith(ctx, a, tag, shown, func(ctx context.Context) (*api.Apply, error) {
		ws, err := a.get(ctx, x.id)
		if err != nil {
			return nil, err
		}
		return ws.Apply(ctx, x.dir, &x.ApplyOptions)
	})
	if err != nil {
		return err
	}
	for _, w := range done.Warnings {
		a.phase("[warning] %s", w)
	}
	return a.show(done, func() string { return applyText(done) })
}

// applyText is a line for each change and one for all.
func applyText(x *api.Apply) string {
	p := &page{}
	for _, e := range x.Entries {
		note := ""
		switch {
		case e.Already:
			note = " (already so)"
		case e.Merged:
			note = " (merged)"
		}
		if e.Flagged != nil {
			note += " (would run by itself: " + *e.Flagged + ")"
		}
		p.line("%s %s%s", applyLetter(e.Status), exactPath(e.Path, e.PathBase64), note)
	}
	s := x.Summary
	line := fmt.Sprintf("[workspace-apply] workspace_id=%s directory=%s total=%d added=%d modified=%d deleted=%d type_changed=%d already=%d merged=%d",
		x.WorkspaceID, shownPath(x.Directory), s.Total, s.Added, s.Modified, s.Deleted, s.TypeChanged, s.Already, s.Merged)
	switch {
	case x.DryRun:
		line += " dry_run=yes"
	case x.Branch != nil:
		line += " branch=" + *x.Branch + " commit=" + *x.Commit
	case s.Total == 0:
		p.line("No workspace changes.")
	case !x.Changed:
		p.line("All changes are there already.")
	}
	p.line("%s", line)
	return p.String()
}

// applyLetter is a status as git writes it.
func applyLetter(status api.DiffStatus) string {
	switch status {
	case api.DiffAdded:
		return "A"
	case api.DiffDeleted:
		return "D"
	case api.DiffTypeChanged:
		return "T"
	}
	return "M"
}
