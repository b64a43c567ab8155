package cli

import (
	"context"
	"fmt"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// fakeDisk is the disk of a stopped workspace.
type fakeDisk struct {
	list   api.DiskList
	read   api.DiskRead
	export api.DiskExport
}

func newDisk() fakeDisk {
	return fakeDisk{
		list: api.DiskList{
			WorkspaceID: testID, Path: "/etc", Recursive: true, Count: 3, Entries: []api.FileEntry{
				{Path: "/etc/a\x1b[31m", ArtifactType: api.ArtifactDirectory, Mode: "0755", ModifiedAt: 1700000000},
				{Path: "/etc/mtab", ArtifactType: api.ArtifactSymlink, SizeBytes: 12, LinkTarget: text("/proc/mounts"), Mode: "0777", ModifiedAt: 1700000000},
				{Path: "/etc/passwd", ArtifactType: api.ArtifactFile, SizeBytes: 120, Mode: "0644", ModifiedAt: 1700000000},
			},
		},
		read:   api.DiskRead{WorkspaceID: testID, Path: "/etc/passwd", SizeBytes: 120, MaxBytes: 65536, BytesRead: 6, Content: "root:\x1b", Encoding: api.EncodingUTF8, Truncated: true},
		export: api.DiskExport{WorkspaceID: testID, OutputPath: "/out/disk.tar", DiskFormat: api.DiskTar, BytesWritten: 10240, Path: text("/workspace"), EntryCount: 3},
	}
}

func (w fakeWorkspace) DiskList(_ context.Context, req api.DiskListRequest) (*api.DiskList, error) {
	_, err := w.c.answer(req)
	return &w.c.disk.list, err
}

func (w fakeWorkspace) DiskRead(_ context.Context, req api.DiskReadRequest) (*api.DiskRead, error) {
	_, err := w.c.answer(req)
	return &w.c.disk.read, err
}

func (w fakeWorkspace) DiskExport(_ context.Context, output string, req api.DiskExportRequest) (*api.DiskExport, error) {
	_, err := w.c.answer([]any{output, req})
	return &w.c.disk.export, err
}

// TestDiskTools holds what the commands about disks print.
func TestDiskTools(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		fake func(*fakeClient)
	}{
		"disk list":           {args: []string{"list", testID, "/etc", "--recursive"}},
		"disk list json":      {args: []string{"list", testID, "/etc", "--json"}},
		"disk list empty":     {args: []string{"list", testID}, fake: func(c *fakeClient) { c.disk.list = api.DiskList{Path: "/workspace"} }},
		"disk list cut":       {args: []string{"list", testID}, fake: func(c *fakeClient) { c.disk.list.Truncated = true }},
		"disk list outside":   {args: []string{"list", testID, "../etc"}},
		"disk list unset":     {args: []string{"list", testID, ""}},
		"disk list refused":   {args: []string{"list", testID, "--json"}, fake: refuses},
		"disk read":           {args: []string{"read", testID, "/etc/passwd"}},
		"disk read json":      {args: []string{"read", testID, "/etc/passwd", "--json"}},
		"disk read content":   {args: []string{"read", testID, "/etc/passwd", "--content-only"}},
		"disk read both":      {args: []string{"read", testID, "x", "--content-only", "--json"}},
		"disk read nothing":   {args: []string{"read", testID, "x", "--max-bytes", "0"}},
		"disk export":         {args: []string{"export", testID, "--output", "disk.tar"}},
		"disk export json":    {args: []string{"export", testID, "--output", "disk.tar", "--json"}},
		"disk export skipped": {args: []string{"export", testID, "--output", "disk.tar"}, fake: func(c *fakeClient) { c.disk.export.Skipped = 2 }},
		"disk export stdout":  {args: []string{"export", testID, "--output", "-"}},
		"disk export unset":   {args: []string{"export", testID, "--output", "x", "--path", ""}},
		"disk export nowhere": {args: []string{"export", testID}},
		"disk export root":    {args: []string{"export", testID, "--output", "x", "--path", "/"}},
		"disk export both":    {args: []string{"export", testID, "--output", "x", "--path", "/etc", "--format", "image"}},
		"disk export refused": {args: []string{"export", testID, "--output", "x"}, fake: refuses},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake()}
			if c.fake != nil {
				c.fake(s.fake)
			}
			code := s.run(t, append([]string{"workspace", "disk"}, c.args...)...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}
