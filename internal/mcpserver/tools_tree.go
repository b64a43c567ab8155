package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

type pushArguments struct {
	WorkspaceID string `json:"workspace_id"`
	SourcePath  string `json:"source_path" jsonschema:"host directory or tar"`
	Dest        string `json:"dest,omitempty" limits:"default=/workspace"`
}

func pushTool() tool {
	return define(tool{
		name: "workspace_sync_push", title: "Copy host files in",
		says: "Copy a host directory or archive into the workspace; nothing there is deleted.", effects: effects{destroys: true, idempotent: true, runsOutside: true},
	}, func(ctx context.Context, c *call, in pushArguments) (*api.Sync, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return ws.Push(ctx, &pyro.Source{Path: in.SourcePath}, in.Dest)
	})
}

type exportArguments struct {
	WorkspaceID  string `json:"workspace_id"`
	Path         string `json:"path" jsonschema:"in the workspace"`
	OutputPath   string `json:"output_path" jsonschema:"on the host"`
	Overwrite    bool   `json:"overwrite,omitempty" jsonschema:"replace what is there"`
	AllowAutorun bool   `json:"allow_autorun,omitempty" jsonschema:"git hooks too"`
}

// exportAnswer is the contract's Export.
type exportAnswer struct {
	api.Export
	part
}

func exportTool() tool {
	return define(tool{
		name: "workspace_export", title: "Copy files to the host",
		says:    "Copy a file or directory of the workspace to the user's machine. Example: {\"workspace_id\":\"ab12…\",\"path\":\"dist\",\"output_path\":\"/tmp/dist\"}.",
		effects: effects{destroys: true, runsOutside: true},
	}, func(ctx context.Context, c *call, in exportArguments) (*exportAnswer, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		agreed, asked := c.answerOfUser()
		if asked && !agreed {
			return nil, errDisagreed("export to another path")
		}
		done, err := ws.Export(ctx, in.Path, in.OutputPath, &pyro.ExportOptions{
			Force: in.Overwrite || agreed, AllowAutorun: in.AllowAutorun,
		})
		switch {
		case errors.Is(err, api.Exists) && c.canAsk():
			return nil, &question{message: fmt.Sprintf("Replace %s on this machine with %s of workspace %s?", in.OutputPath, in.Path, ws.ID())}
		case err != nil:
			return nil, err
		}
		out := &exportAnswer{Export: *done}
		for i, w := range out.Warnings {
			// Names of the guest are in it: nothing else is put into other words.
			out.Warnings[i] = strings.Replace(w, "; --allow-autorun brings it along", "; allow_autorun true brings it along", 1)
		}
		return out, nil
	})
}

type resetArguments struct {
	WorkspaceID string `json:"workspace_id"`
	Snapshot    string `json:"snapshot,omitempty" limits:"default=baseline"`
	Confirm     bool   `json:"confirm,omitempty" jsonschema:"the user agreed"`
}

// resetAnswer is the contract's Reset.
type resetAnswer struct {
	api.Reset
	part
}

func resetTool() tool {
	return define(tool{
		name: "workspace_reset", title: "Undo everything",
		says:    "Bring the workspace back to how it was created, or to a snapshot; changes since are lost.",
		effects: effects{destroys: true},
	}, func(ctx context.Context, c *call, in resetArguments) (*resetAnswer, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		if err := c.mayReset(ctx, ws, in); err != nil {
			return nil, err
		}
		done, err := ws.Reset(ctx, api.ResetRequest{Snapshot: in.Snapshot})
		if err != nil {
			return nil, err
		}
		return &resetAnswer{Reset: *done}, nil
	})
}

// mayReset asks the user where files would be lost. What counts is the difference from
// where the reset leads: the number of commands says nothing of files that were written
// otherwise, and most commands change none. Where nobody can tell, the user is asked too.
func (c *call) mayReset(ctx context.Context, ws *pyro.Workspace, in resetArguments) error {
	agreed, asked := c.answerOfUser()
	switch {
	case in.Confirm || asked && agreed || !asked && !c.canAsk():
		return nil
	case asked:
		return errDisagreed("go on without a reset")
	}
	lost := "What was changed in it since"
	diff, err := ws.Diff(ctx, api.DiffRequest{Against: in.Snapshot, NoPatch: true})
	switch {
	case errors.Is(err, api.NotFound), errors.Is(err, api.Invalid), ctx.Err() != nil:
		return err // no such snapshot
	case err == nil && !diff.Changed:
		return nil
	case err == nil:
		lost = fmt.Sprintf("What was changed in %d files since", diff.Summary.Total)
	}
	return &question{message: fmt.Sprintf("Reset workspace %s to %s? %s is lost.", ws.ID(), in.Snapshot, lost)}
}

type patchArguments struct {
	WorkspaceID string `json:"workspace_id"`
	Patch       string `json:"patch" jsonschema:"unified diff, paths relative to /workspace"`
}

// patchAnswer is the contract's Patch.
type patchAnswer struct {
	api.Patch
	part
	EntriesOmitted int `json:"entries_omitted"`
}

func patchTool() tool {
	return define(tool{
		name: "workspace_patch_apply", title: "Apply a patch", first: true,
		says:    "Edit files by a unified diff; all of it applies or nothing. Example: {\"workspace_id\":\"ab12…\",\"patch\":\"--- a/f.txt\\n+++ b/f.txt\\n@@ -1 +1 @@\\n-old\\n+new\\n\"}.",
		effects: effects{destroys: true},
	}, func(ctx context.Context, c *call, in patchArguments) (*patchAnswer, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		done, err := ws.ApplyPatch(ctx, newText(in.Patch), api.PatchRequest{})
		if err != nil {
			return nil, err
		}
		out := &patchAnswer{Patch: *done}
		if size(out) <= c.most {
			return out, nil
		}
		entries, echo := out.Entries, out.Patch.Patch
		out.Entries, out.Patch.Patch, out.Truncated = []api.PatchEntry{}, "", true
		room := c.most - size(out)
		forEntries, _ := shares(room, size(entries), cost(echo))
		out.Entries, _ = fill(entries, forEntries)
		out.EntriesOmitted = len(entries) - len(out.Entries)
		var cut bool
		out.Patch.Patch, cut = headAndTail(echo, int64(len(echo)), c.most-size(out))
		out.PatchTruncated = out.PatchTruncated || cut
		return out, nil
	})
}

type snapshotArguments struct {
	WorkspaceID  string `json:"workspace_id"`
	SnapshotName string `json:"snapshot_name"`
}

// snapshotsAnswer is the contract's SnapshotList.
type snapshotsAnswer struct {
	api.SnapshotList
	part
}

func snapshotTools() []tool {
	return []tool{
		define(tool{
			name: "snapshot_create", title: "Save a state",
			says: "Save all files under a name, for workspace_reset and workspace_diff.",
		}, func(ctx context.Context, c *call, in snapshotArguments) (*api.SnapshotCreate, error) {
			ws, err := c.workspace(ctx, in.WorkspaceID)
			if err != nil {
				return nil, err
			}
			return ws.CreateSnapshot(ctx, in.SnapshotName)
		}),
		define(tool{
			name: "snapshot_delete", title: "Delete a saved state",
			says: "Delete a snapshot.", effects: effects{destroys: true, idempotent: true},
		}, func(ctx context.Context, c *call, in snapshotArguments) (*api.SnapshotDelete, error) {
			ws, err := c.workspace(ctx, in.WorkspaceID)
			if err != nil {
				return nil, err
			}
			return ws.DeleteSnapshot(ctx, in.SnapshotName)
		}),
		define(tool{
			name: "snapshot_list", title: "List saved states",
			says: "List the baseline and the snapshots, the newest first.", effects: effects{reads: true},
		}, about(func(ctx context.Context, ws *pyro.Workspace) (*snapshotsAnswer, error) {
			list, err := ws.Snapshots(ctx)
			if err != nil {
				return nil, err
			}
			return &snapshotsAnswer{SnapshotList: *list}, nil
		})),
	}
}
