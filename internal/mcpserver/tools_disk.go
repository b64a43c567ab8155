package mcpserver

import (
	"context"
	"slices"

	"github.com/pyro-sandbox/pyro/api"
)

type diskExportArguments struct {
	WorkspaceID string `json:"workspace_id"`
	OutputPath  string `json:"output_path" jsonschema:"on the host"`
}

// diskListAnswer is the contract's DiskList.
type diskListAnswer struct {
	api.DiskList           // Truncated is its own; Count counts all entries
	EntriesOmitted int     `json:"entries_omitted"` // whose names are too long to show
	NextAfter      *string `json:"next_after"`
	Next           *string `json:"next"`
}

func (a *diskListAnswer) markCut() { a.Truncated = true }

// diskReadAnswer is the contract's DiskRead.
type diskReadAnswer struct {
	api.DiskRead
	Next *string `json:"next"`
}

func (a *diskReadAnswer) markCut() { a.Truncated = true }

type diskReadArguments struct {
	WorkspaceID string `json:"workspace_id"`
	Path        string `json:"path"`
	MaxBytes    int    `json:"max_bytes,omitempty" limits:"default=65536,min=1,max=67108864"`
	MaxChars    int    `json:"max_chars,omitempty" limits:"default=10000,min=1000,max=200000"`
}

func diskTools() []tool {
	return []tool{diskExport(), diskList(), diskRead()}
}

func diskExport() tool {
	return define(tool{
		name: "workspace_disk_export", title: "Save a stopped workspace's disk",
		says:    "Write /workspace of a stopped workspace as a tar file on the host.",
		effects: effects{runsOutside: true},
	}, func(ctx context.Context, c *call, in diskExportArguments) (*api.DiskExport, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return ws.DiskExport(ctx, in.OutputPath, api.DiskExportRequest{})
	})
}

func diskList() tool {
	return define(tool{
		name: "workspace_disk_list", title: "List files of a stopped workspace",
		says: "List a directory on the disk of a stopped workspace.", effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in fileListArguments) (*diskListAnswer, error) {
		c.most = in.MaxChars
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		list, err := ws.DiskList(ctx, api.DiskListRequest{Path: in.Path, Recursive: in.Recursive})
		if err != nil {
			return nil, err
		}
		out := &diskListAnswer{DiskList: *list}
		rest := list.Entries
		if in.After != "" {
			rest = rest[slices.IndexFunc(rest, func(e api.FileEntry) bool { return e.Path == in.After })+1:]
		}
		out.Entries = []api.FileEntry{}
		page := c.fit(rest, c.most-size(out)-cost(in.Path)-300)
		out.Entries, out.EntriesOmitted = page.shown, page.omitted
		if page.rest {
			out.Truncated, out.NextAfter = true, &page.last
			out.Next = more(c.tool, "workspace_id", in.WorkspaceID, "path", in.Path, "recursive", in.Recursive, "after", page.last)
		}
		return out, nil
	})
}

func diskRead() tool {
	return define(tool{
		name: "workspace_disk_read", title: "Read a file of a stopped workspace",
		says: "Read the beginning of a file on the disk of a stopped workspace.", effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in diskReadArguments) (*diskReadAnswer, error) {
		c.most = in.MaxChars
		if c.given("max_bytes") && !c.given("max_chars") {
			c.most = 8 * api.MaxDiskRead // what was asked for counts alone
		}
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		file, err := ws.DiskRead(ctx, api.DiskReadRequest{Path: in.Path, MaxBytes: in.MaxBytes})
		if err != nil {
			return nil, err
		}
		out := &diskReadAnswer{DiskRead: *file}
		content := out.Content
		out.Content = ""
		out.Next = more(c.tool, "workspace_id", in.WorkspaceID, "path", in.Path, "max_bytes", out.SizeBytes)
		out.Content = beginningOfLines(content, c.most-size(out))
		out.Truncated = out.Truncated || len(out.Content) < len(content)
		if len(out.Content) < len(content) {
			out.BytesRead = len(out.Content) // exact where all of it is UTF-8
		}
		if !out.Truncated {
			out.Next = nil
		}
		return out, nil
	})
}
