package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// page is text for people, a line at a time. What lines quote may come from a
// guest or a name; each line is made safe.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) {
	p.WriteString(oneLine(fmt.Sprintf(format, args...)) + "\n")
}

// optional adds a line unless its value is missing.
func (p *page) optional(label string, value *string) {
	if value != nil {
		p.line("%s: %s", label, *value)
	}
}

// workspaceBlock describes one workspace; head stands before its id. Scripts read
// the lines up to the last command by their order, so what is new comes after them.
func workspaceBlock(head string, w *api.Workspace) string {
	p := &page{}
	p.line("%s%s", head, w.WorkspaceID)
	p.optional("Name", w.Name)
	if len(w.Labels) > 0 {
		p.line("Labels: %s", labelList(w.Labels, ", "))
	}
	p.line("Environment: %s", w.Environment)
	p.line("State: %s", w.State)
	p.line("Workspace: %s", w.WorkspacePath)
	p.line("Last activity at: %s", w.LastActivityAt)
	p.line("Network policy: %s", w.NetworkPolicy)
	seed := w.WorkspaceSeed.Mode
	if from := cmp.Or(w.WorkspaceSeed.SeedPath, w.WorkspaceSeed.OriginRef); from != nil {
		seed += " from " + *from
	}
	p.line("Workspace seed: %s", seed)
	if len(w.Secrets) > 0 {
		p.line("Secrets: %s", secretList(w.Secrets))
	}
	p.line("Execution mode: %s", w.ExecutionMode)
	p.line("Resources: %d vCPU / %d MiB", w.VCPUCount, w.MemMiB)
	p.line("Command count: %d", w.CommandCount)
	p.line("Reset count: %d", w.ResetCount)
	if w.LastResetAt != nil {
		p.line("Last reset at: %s", *w.LastResetAt)
	}
	p.line("Services: %d/%d running", w.RunningServiceCount, w.ServiceCount)
	if c := w.LastCommand; c != nil {
		p.line("Last command: %s (exit_code=%d)", c.Command, c.ExitCode)
	}
	p.additions(w)
	return p.String()
}

// additions are the lines of a workspace that have no fixed place.
func (p *page) additions(w *api.Workspace) {
	p.optional("Reason", w.Reason)
	if w.Engine != "" {
		p.line("Engine: %s (isolation: %s)", w.Engine, w.Isolation)
	}
	if why := w.Limits.Why; !w.Limits.Enforced && why != nil {
		p.line("Limits: not enforced: %s", *why)
	}
	if w.LastSavedAt != nil {
		p.line("Last saved at: %s", date(*w.LastSavedAt))
	}
	expires := "never"
	if w.ExpiresAt != nil {
		expires = date(*w.ExpiresAt)
	}
	p.line("Expires at: %s", expires)
	if w.IdleSeconds > 0 {
		p.line("Idle stop: after %d s without use", w.IdleSeconds)
	}
}

func secretList(secrets []api.Secret) string {
	shown := make([]string, len(secrets))
	for i, s := range secrets {
		shown[i] = s.Name + " (" + s.SourceKind + ")"
	}
	return strings.Join(shown, ", ")
}

func labelList(labels map[string]string, separator string) string {
	var shown []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		shown = append(shown, key+"="+labels[key])
	}
	return strings.Join(shown, separator)
}

// workspaceLines is a list, one line a workspace.
func workspaceLines(list *api.WorkspaceList) string {
	if len(list.Workspaces) == 0 {
		return "No workspaces.\n"
	}
	p := &page{}
	for _, w := range list.Workspaces {
		words := []string{"[workspace]", "workspace_id=" + w.WorkspaceID}
		if w.Name != nil {
			words = append(words, "name="+quote(*w.Name))
		}
		words = append(words, "state="+string(w.State), "environment="+w.Environment)
		if len(w.Labels) > 0 {
			words = append(words, "labels="+labelList(w.Labels, ","))
		}
		words = append(
			words,
			"last_activity_at="+w.LastActivityAt.String(),
			"expires_at="+moment(w.ExpiresAt),
			fmt.Sprintf("commands=%d", w.CommandCount),
			fmt.Sprintf("services=%d/%d", w.RunningServiceCount, w.ServiceCount),
		)
		if w.Reason != nil {
			words = append(words, "reason="+*w.Reason)
		}
		p.line("%s", strings.Join(words, " "))
	}
	return p.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// moment is a time, or never.
func moment(t *api.Timestamp) string {
	if t == nil {
		return "never"
	}
	return t.String()
}

// date is a time as people read it. The lines that scripts know have seconds instead.
func date(t api.Timestamp) string { return t.Time().UTC().Format("2006-01-02 15:04:05 UTC") }
