package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) logsCommand() *cobra.Command {
	var last int
	var all bool
	cmd := &cobra.Command{
		Use:     "logs WORKSPACE_ID",
		Short:   "show the commands that ran in a workspace, with their output",
		GroupID: groupLook,
		Long: `Shows every command that exec ran in a workspace since it was made or last reset, the
oldest first: how it ended, its words, and its output, stdout to stdout and stderr to
stderr. Of a long output the beginning and the end are kept. A stopped workspace
keeps its history.`,
		Example: "  pyro workspace logs 0123456789ab\n  pyro workspace logs 0123456789ab --last 1 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if last < 0 {
				return invalid(fmt.Sprintf("last is %d, allowed is 0 or more", last), "choose a value in that range; 0 means all")
			}
			return a.logs(cmd.Context(), args[0], last, all)
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	intFlag(cmd.Flags(), &last, "last", "N", 0, "only the last N commands, 1 command or more; 0: all")
	cmd.Flags().BoolVar(&all, "all", false, "also what ran before the workspace was reset")
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) logs(ctx context.Context, id string, last int, all bool) error {
	found, err := awaitOf(ctx, a, logsTag, id, func(ctx context.Context, ws workspace) (*api.WorkspaceLogs, error) {
		if all {
			return ws.History(ctx, last)
		}
		return ws.Logs(ctx, last)
	})
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(found)
	case len(found.Entries) == 0:
		return a.print("No workspace logs found.\n")
	}
	for i := range found.Entries {
		if all && i > 0 && found.Entries[i].ResetCount != found.Entries[i-1].ResetCount {
			if err := a.print("--- reset\n"); err != nil {
				return err
			}
		}
		if err := a.logEntry(&found.Entries[i]); err != nil {
			return err
		}
	}
	return nil
}

const logsTag = "workspace-logs"

// logEntry prints one command: its head and stdout to stdout, its stderr to stderr.
func (a *app) logEntry(e *api.LogEntry) error {
	p := &page{}
	head := fmt.Sprintf("#%d exit_code=%d duration_ms=%d cwd=%s", e.Sequence, e.ExitCode, e.DurationMS, e.Cwd)
	if e.Reason != nil {
		head += " reason=" + *e.Reason
	}
	p.line("%s", head)
	p.line("$ %s", e.Command)
	if err := a.print(p.String()); err != nil {
		return err
	}
	if err := a.relay(a.Stdout, "stdout", e.Stdout); err != nil {
		return err
	}
	if err := a.relay(a.Stderr, "stderr", e.Stderr); err != nil {
		return err
	}
	a.cut(logsTag, fmt.Sprintf("#%d ", e.Sequence), e.StdoutTruncated, e.StderrTruncated)
	return nil
}

// relay prints a guest's text whole, the end of its last line included.
func (a *app) relay(to io.Writer, stream, text string) error {
	if text == "" {
		return nil
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return a.pass(to, stream, text)
}

// pass prints a guest's text as it is, or safe to look at on a terminal.
func (a *app) pass(to io.Writer, stream, text string) error {
	o := a.outlet(to, stream)
	if _, err := io.WriteString(o, text); err != nil {
		return err
	}
	return o.flush()
}
