package mcpserver

import (
	"context"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

type diffArguments struct {
	WorkspaceID string   `json:"workspace_id"`
	Paths       []string `json:"paths,omitempty" jsonschema:"only these files or directories"`
	Against     string   `json:"against,omitempty" jsonschema:"a snapshot" limits:"default=baseline"`
	MaxChars    int      `json:"max_chars,omitempty" limits:"default=10000,min=1000,max=200000"`
}

// diffAnswer is the contract's Diff.
type diffAnswer struct {
	api.WorkspaceDiff
	part
	PatchBytes int     `json:"patch_bytes"` // of the whole patch
	Next       *string `json:"next"`
}

func diffTool() tool {
	return define(tool{
		name: "workspace_diff", title: "Show what changed", first: true,
		says:    "Return what changed since the workspace was created, as a list and as a patch. Example: {\"workspace_id\":\"ab12…\",\"paths\":[\"src\"]}.",
		effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in diffArguments) (*diffAnswer, error) {
		c.most = in.MaxChars
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		diff, err := ws.Diff(ctx, api.DiffRequest{Paths: in.Paths, Against: in.Against})
		if err != nil {
			return nil, err
		}
		out := &diffAnswer{WorkspaceDiff: *diff, PatchBytes: len(diff.Patch)}
		out.Truncated = out.PatchTruncated || out.EntriesOmitted > 0
		c.shortenDiff(out, in)
		return out, nil
	})
}

// omittedInPatch is why an entry has no text patch although the diff's patch may.
const omittedInPatch = "see patch"

// shortenDiff makes a diff fit: first by giving up the patches of the entries, which stand
// in the patch again, then by leaving out files.
func (c *call) shortenDiff(out *diffAnswer, in diffArguments) {
	if size(out) <= c.most {
		return
	}
	for i := range out.Entries {
		if e := &out.Entries[i]; e.TextPatch != nil {
			e.TextPatch, e.Omitted = nil, new(omittedInPatch)
		}
	}
	entries, patch := out.Entries, out.Patch
	out.Entries, out.Patch, out.Truncated = []api.DiffEntry{}, "", true
	const longestPath = 1000
	room := c.most - size(out) - longestPath // for the path in Next
	forEntries, forPatch := shares(room, size(entries), cost(patch))
	var left int
	out.Entries, left = fill(entries, forEntries)
	out.EntriesOmitted += len(entries) - len(out.Entries)
	if len(out.Entries) == len(entries) {
		left = 0 // it was counted in what the patch gets
	}
	var rest string
	out.Patch, rest = cutPatch(patch, forPatch+left)
	if rest != "" {
		out.PatchTruncated = true
	}
	out.Truncated = out.PatchTruncated || out.EntriesOmitted > 0
	if out.Truncated {
		out.Next = c.diffNext(in, entries[len(out.Entries):], rest)
	}
}

// diffNext is the call for the first file that is not shown whole.
func (c *call) diffNext(in diffArguments, entries []api.DiffEntry, rest string) *string {
	file := fileOfPatch(rest)
	if file == "" && len(entries) > 0 {
		file = entries[0].Path
	}
	arguments := []any{"workspace_id", in.WorkspaceID}
	if file != "" && cost(file) < 500 {
		arguments = append(arguments, "paths", []string{file})
	}
	if in.Against != api.DiffBaseline && cost(in.Against) < 100 {
		arguments = append(arguments, "against", in.Against)
	}
	if c.most < maxAsked {
		return more(c.tool, append(arguments, "max_chars", maxAsked)...)
	}
	// The call that was just made is no way to get more.
	again := len(in.Paths) == 1 && in.Paths[0] == file
	text := "ask the user to run `pyro workspace diff " + in.WorkspaceID + "`, which prints all of it"
	if file != "" && !again {
		text = *more(c.tool, append(arguments, "max_chars", maxAsked)...) + "; or " + text
	}
	return &text
}

const patchHead = "diff --git "

// cutPatch keeps as many whole files of a patch as fit into a room; of the first one, where
// that does not fit, its beginning. rest begins with the first file that is not whole.
func cutPatch(patch string, room int) (shown, rest string) {
	if cost(patch) <= room {
		return patch, ""
	}
	at := 0
	for at < len(patch) {
		end := len(patch)
		if i := strings.Index(patch[at+1:], "\n"+patchHead); i >= 0 {
			end = at + 1 + i + 1
		}
		n := cost(patch[at:end])
		if n > room {
			break
		}
		room -= n
		at = end
	}
	if at > 0 {
		return patch[:at], patch[at:]
	}
	room -= cost(leftOut(int64(len(patch))))
	shown = beginningOfLines(patch, room)
	return shown + leftOut(int64(len(patch)-len(shown))), patch
}

// fileOfPatch is the path of the first file of a patch, where it can be read without doubt.
func fileOfPatch(patch string) string {
	line, _, _ := strings.Cut(patch, "\n")
	names, ok := strings.CutPrefix(line, patchHead+"a/")
	if !ok || len(names) < len(" b/")+2 {
		return ""
	}
	name := names[:(len(names)-len(" b/"))/2]
	if names != name+" b/"+name {
		return ""
	}
	return name
}
