package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) summaryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "summary WORKSPACE_ID",
		Short:   "show what was done in a workspace, on one screen",
		GroupID: groupLook,
		Long: `Shows what happened in a workspace since it was created or last reset: how many
commands ran and which failed, what was put in, how many files differ from the
baseline, services, shells, secrets by name, snapshots, exports and published ports.
A stopped workspace is summed up too, without its changes.`,
		Example: "  pyro workspace summary 0123456789ab\n  pyro workspace summary 0123456789ab --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := awaitOf(cmd.Context(), a, "workspace-summary", args[0], func(ctx context.Context, ws workspace) (*api.Summary, error) {
				return ws.Summary(ctx)
			})
			if err != nil {
				return err
			}
			return a.show(s, func() string { return summaryPage(s) })
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

// summaryPage is a summary for people.
func summaryPage(s *api.Summary) string {
	p := &page{}
	p.line("Workspace summary: %s", s.WorkspaceID)
	p.optional("Name", s.Name)
	state := string(s.State)
	if s.Reason != nil {
		state += " (" + *s.Reason + ")"
	}
	p.line("State: %s", state)
	p.line("Environment: %s, engine %s (isolation: %s)", s.Environment, s.Engine, s.Isolation)
	since := "created"
	if s.ResetCount > 0 {
		since = "last reset"
	}
	p.line("Since: %s (%s)", date(s.Since), since)
	p.commands(s)
	p.line("Edits: %d pushes, %d file changes, %d patches", s.Edits.Pushes, s.Edits.Files, s.Edits.Patches)
	p.events(s.Edits.Last)
	p.changes(s)
	p.live(s)
	if len(s.Secrets) > 0 {
		p.line("Secrets: %s", secretList(s.Secrets))
	}
	p.line("Snapshots: %d%s", s.Snapshots.Total, inParens(s.Snapshots.Names))
	p.line("Exports: %d", len(s.Exports))
	p.events(s.Exports)
	p.line("Denials: %d", len(s.Denials))
	p.line("Outcome: %s", outcomeLine(s.Outcome))
	if !s.EventsComplete {
		p.line("Note: older events are gone; what is counted from them is the least that happened")
	}
	return p.String()
}

func (p *page) commands(s *api.Summary) {
	line := fmt.Sprintf("Commands: %d run, %d failed", s.Commands.Total, s.Commands.Failed)
	if s.Commands.Running > 0 {
		line += fmt.Sprintf(", %d running", s.Commands.Running)
	}
	p.line("%s", line)
	shown := make(map[int64]bool)
	for _, list := range [][]api.Event{s.Commands.Failures, s.Commands.Last} {
		for _, e := range list {
			if !shown[e.Sequence] {
				p.line("  %s", commandLine(e))
			}
			shown[e.Sequence] = true
		}
	}
}

// commandLine is a command that has ended.
func commandLine(e api.Event) string {
	var b strings.Builder
	if e.CommandSequence != nil {
		fmt.Fprintf(&b, "#%d", *e.CommandSequence)
	}
	figure(&b, "exit_code", e.ExitCode)
	figure(&b, "duration_ms", e.DurationMS)
	if e.Reason != nil {
		b.WriteString(" reason=" + *e.Reason)
	}
	if e.Command != nil {
		b.WriteString(" $ " + shorten(*e.Command))
	}
	return b.String()
}

// screenWidth is how much of a text a line of a summary shows, in characters.
const screenWidth = 100

func shorten(text string) string {
	if shown := []rune(text); len(shown) > screenWidth {
		return string(shown[:screenWidth]) + "…"
	}
	return text
}

// events are lines about events, further in.
func (p *page) events(list []api.Event) {
	for _, e := range list {
		p.line("  %s%s", e.Kind, eventWords(e))
	}
}

func (p *page) changes(s *api.Summary) {
	switch c := s.Changes; {
	case c != nil:
		p.line("Changes: %d (%d added, %d modified, %d deleted, %d of another type)", c.Total, c.Added, c.Modified, c.Deleted, c.TypeChanged)
	case s.ChangesNote != nil:
		p.line("Changes: not known: %s", *s.ChangesNote)
	default:
		p.line("Changes: not known")
	}
}

func (p *page) live(s *api.Summary) {
	p.line("Services: %d/%d running, %d failed", s.Services.Running, s.Services.Total, s.Services.Failed)
	for _, one := range s.Services.List {
		line := fmt.Sprintf("  %s [%s]", one.ServiceName, one.State)
		if one.ExitCode != nil {
			line += fmt.Sprintf(" exit_code=%d", *one.ExitCode)
		}
		if one.StopReason != nil {
			line += " reason=" + *one.StopReason
		}
		if one.RestartCount > 0 {
			line += fmt.Sprintf(" restarts=%d", one.RestartCount)
		}
		if len(one.PublishedPorts) > 0 {
			line += " published=" + portList(one.PublishedPorts)
		}
		p.line("%s", line)
	}
	p.line("Shells: %d/%d running", s.Shells.Running, s.Shells.Total)
}

func inParens(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

func outcomeLine(o api.SummaryOutcome) string {
	if o.LastCommand == nil {
		return o.Status
	}
	return fmt.Sprintf("%s: %s (exit_code=%d)", o.Status, shorten(o.LastCommand.Command), o.LastCommand.ExitCode)
}
