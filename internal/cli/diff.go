package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pyro-sandbox/pyro/api"
)

// differ tells what changed in a workspace, see the SDK for each.
type differ interface {
	Diff(ctx context.Context, req api.DiffRequest) (*api.WorkspaceDiff, error)
	Patch(ctx context.Context, req api.DiffRequest, to io.Writer) (*api.DiffPatched, error)
}

const diffTag = "workspace-diff"

// diffing is what workspace diff was told.
type diffing struct {
	patch, stat, names, statuses bool
	against                      string
	color                        string
	req                          api.DiffRequest
}

func (a *app) diffCommand() *cobra.Command {
	d := diffing{color: colorAuto}
	cmd := &cobra.Command{
		Use:     "diff WORKSPACE_ID [PATH...]",
		Short:   "show what changed in a workspace",
		GroupID: groupLook,
		Long: `Shows what in /workspace is not as it was right after create: files, links and
empty directories that were added, changed or deleted. With PATHs only these, and
what is below them. --patch prints a patch alone, which git apply takes: it makes of
the seed what the workspace holds now, whatever the names, bytes, modes and links.`,
		Example: `  pyro workspace diff 0123456789ab
  pyro workspace diff 0123456789ab --stat src
  pyro workspace diff 0123456789ab --patch | git apply
  pyro workspace diff 0123456789ab --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.check(cmd, args[1:]); err != nil {
				return err
			}
			return a.diff(cmd.Context(), args[0], d)
		},
		ValidArgsFunction: a.completeIDs(a.completePaths, api.StateStarted),
	}
	d.flags(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("against", a.completeStates)
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions(colors, cobra.ShellCompDirectiveNoFileComp))
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (d *diffing) flags(f *pflag.FlagSet) {
	f.BoolVar(&d.patch, "patch", false, "print the patch alone, whole and as bytes, and nothing where nothing changed")
	f.BoolVar(&d.stat, "stat", false, "print how many lines changed in each file")
	f.BoolVar(&d.names, "name-only", false, "print the names alone")
	f.BoolVar(&d.statuses, "name-status", false, "print a letter and the name: A added, M modified, D deleted, T another type")
	f.Var(textValue{&d.against, "NAME"}, "against", "compare with a snapshot instead of the state after create")
	f.Var(choiceValue{&d.color, "WHEN", colors}, "color", "colour the patch: auto, always or never")
}

// forms are the options that choose what is printed.
var forms = []string{"patch", "stat", "name-only", "name-status"}

func (d *diffing) check(cmd *cobra.Command, paths []string) error {
	var chosen []string
	for _, form := range forms {
		if cmd.Flags().Changed(form) {
			chosen = append(chosen, form)
		}
	}
	switch {
	case len(chosen) > 1:
		return misuse(cmd, "argument --%s: not allowed with argument --%s", chosen[1], chosen[0])
	case d.patch && cmd.Flags().Changed("json"):
		return misuse(cmd, "argument --json: not allowed with argument --patch")
	case cmd.Flags().Changed("against") && d.against == "":
		return invalid("--against is empty", "name a snapshot, or leave it out")
	}
	d.req = api.DiffRequest{Paths: paths, Against: d.against, NoPatch: d.names || d.statuses}
	_, err := d.req.Check()
	return err
}

func (a *app) diff(ctx context.Context, id string, d diffing) error {
	if d.patch {
		return a.diffPatch(ctx, id, d)
	}
	found, err := awaitOf(ctx, a, diffTag, id, func(ctx context.Context, ws workspace) (*api.WorkspaceDiff, error) {
		return ws.Diff(ctx, d.req)
	})
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(found)
	case d.names, d.statuses:
		err = a.print(nameLines(found, d.statuses))
	case d.stat:
		err = a.print(statTable(found))
	default:
		err = a.diffText(found, d.color)
	}
	a.diffNotes(found.Warnings, found.Entries)
	if found.EntriesOmitted > 0 {
		a.say("[%s] truncated: %d entries are not shown", diffTag, found.EntriesOmitted)
	}
	return err
}

// diffPatch prints the patch as it comes.
func (a *app) diffPatch(ctx context.Context, id string, d diffing) error {
	out := a.patchOutlet(d.color)
	// Without progress: its line would stand in the way of the patch.
	done, err := awaitWith(ctx, a, diffTag, nil, func(ctx context.Context) (*api.DiffPatched, error) {
		ws, err := a.get(ctx, id)
		if err != nil {
			return nil, err
		}
		return ws.Patch(ctx, d.req, out)
	})
	if err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	a.diffNotes(done.Warnings, nil)
	return nil
}

// diffText prints a line that counts, and the patch.
func (a *app) diffText(found *api.WorkspaceDiff, color string) error {
	if !found.Changed {
		return a.print("No workspace changes.\n")
	}
	n := found.Summary
	p := &page{}
	p.line("[%s] workspace_id=%s total=%d added=%d modified=%d deleted=%d type_changed=%d text_patched=%d non_text=%d",
		diffTag, found.WorkspaceID, n.Total, n.Added, n.Modified, n.Deleted, n.TypeChanged, n.TextPatched, n.NonText)
	if err := a.print(p.String()); err != nil {
		return err
	}
	out := a.patchOutlet(color)
	if _, err := io.WriteString(out, found.Patch); err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	for i := range found.Entries {
		if e := &found.Entries[i]; e.Omitted != nil && !hasNoTextAlone(*e.Omitted) {
			a.say("[%s] not in the patch: %s: %s", diffTag, diffPath(e), *e.Omitted)
		}
	}
	if found.PatchTruncated {
		a.say("[%s] truncated: the patch is longer than is shown here; --patch prints all of it", diffTag)
	}
	return nil
}

// hasNoTextAlone tells why an entry has no text patch of its own from why it is not in the
// patch of all: for that, one line at the end stands for all that are left out.
func hasNoTextAlone(omitted string) bool {
	return omitted == api.OmittedLongPatch || omitted == api.OmittedManyPatches
}

// diffNotes says what a person should know of a diff.
func (a *app) diffNotes(warnings []string, entries []api.DiffEntry) {
	for _, w := range warnings {
		a.say("[warning] %s", w)
	}
	for i := range entries {
		if e := &entries[i]; e.Flagged != nil {
			a.say("[warning] %s may run by itself on this machine: %s", diffPath(e), *e.Flagged)
		}
	}
}

// diffPath is the path of an entry for a line of ours.
func diffPath(e *api.DiffEntry) string {
	return exactPath(e.Path, e.PathBase64)
}

// exactPath is a path whose bytes are told beside it where they are no text.
func exactPath(path string, coded *string) string {
	if coded != nil {
		if exact, err := base64.StdEncoding.DecodeString(*coded); err == nil {
			return shownPath(string(exact))
		}
	}
	return shownPath(path)
}

// letters of a status, as git has them.
var diffLetters = map[api.DiffStatus]string{
	api.DiffAdded: "A", api.DiffModified: "M", api.DiffDeleted: "D", api.DiffTypeChanged: "T",
}

func nameLines(found *api.WorkspaceDiff, statuses bool) string {
	var b strings.Builder
	for i := range found.Entries {
		e := &found.Entries[i]
		if statuses {
			b.WriteString(diffLetters[e.Status] + "\t")
		}
		b.WriteString(diffPath(e) + "\n")
	}
	return b.String()
}

// Columns of the table.
const (
	statWidth   = 80
	maxStatName = 50
)

// statTable shows how many lines changed, as git diff --stat does.
func statTable(found *api.WorkspaceDiff) string {
	if !found.Changed {
		return "No workspace changes.\n"
	}
	names, most, plus, minus := make([]string, len(found.Entries)), 0, 0, 0
	for i := range found.Entries {
		e := &found.Entries[i]
		names[i] = fitName(diffPath(e))
		most = max(most, count(e.Insertions)+count(e.Deletions))
		plus, minus = plus+count(e.Insertions), minus+count(e.Deletions)
	}
	wide := 0
	for _, name := range names {
		wide = max(wide, len([]rune(name)))
	}
	digits := len(fmt.Sprint(most))
	p := &page{}
	for i := range found.Entries {
		pad := strings.Repeat(" ", wide-len([]rune(names[i])))
		p.line(" %s%s | %s", names[i], pad, statOf(&found.Entries[i], most, digits, statWidth-wide-digits-6))
	}
	p.line(" %s", statSum(found.Summary.Total, plus, minus))
	return p.String()
}

// fitName shortens a name at its beginning, where it says least.
func fitName(name string) string {
	if r := []rune(name); len(r) > maxStatName {
		return "..." + string(r[len(r)-maxStatName+3:])
	}
	return name
}

func count(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func statOf(e *api.DiffEntry, most, digits, width int) string {
	size := func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	}
	switch {
	case e.Binary != nil && *e.Binary:
		return fmt.Sprintf("Bin %d -> %d bytes", size(e.OldSize), size(e.NewSize))
	case e.Insertions != nil:
		total := *e.Insertions + *e.Deletions
		plus, minus := scaled(*e.Insertions, most, width), scaled(*e.Deletions, most, width)
		return fmt.Sprintf("%*d %s%s", digits, total, strings.Repeat("+", plus), strings.Repeat("-", minus))
	case e.Type == api.ArtifactFile && e.Omitted != nil && *e.Omitted == api.OmittedFileTooLarge:
		return fmt.Sprintf("%s, %d -> %d bytes", *e.Omitted, size(e.OldSize), size(e.NewSize))
	case e.Type != api.ArtifactFile:
		return string(e.Type)
	case e.OldBits != nil:
		return fmt.Sprintf("%*d mode %s -> %s", digits, 0, *e.OldBits, *e.NewBits)
	}
	return fmt.Sprintf("%*d", digits, 0)
}

// scaled is how many of width signs stand for n of most. What is there is seen.
func scaled(n, most, width int) int {
	if n == 0 || most <= width {
		return n
	}
	return 1 + n*(width-2)/most
}

func statSum(files, plus, minus int) string {
	words := []string{plural(files, "file") + " changed"}
	if plus > 0 {
		words = append(words, plural(plus, "insertion")+"(+)")
	}
	if minus > 0 {
		words = append(words, plural(minus, "deletion")+"(-)")
	}
	return strings.Join(words, ", ")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
