package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// fakeFiles is what of a workspace answers about files.
type fakeFiles struct {
	list    api.FileList
	read    api.FileRead
	content string // what a stream brings
	cut     error  // and how it ends, if not well
	patch   api.Patch
}

// written is a write as it was asked for.
type written struct {
	Req  api.FileWriteRequest
	Text string
}

// patched is a patch as it was asked for.
type patched struct {
	Req  api.PatchRequest
	Text string
}

func newFiles() fakeFiles {
	odd := "/workspace/b\xff\x1b[31m"
	return fakeFiles{
		list: api.FileList{
			WorkspaceID: testID, Path: api.WorkspacePath, ArtifactType: api.ArtifactDirectory, ExecutionMode: api.ModeGuestVsock, Count: 5,
			Entries: []api.FileEntry{
				{Path: "/workspace/a b", ArtifactType: api.ArtifactFile, SizeBytes: 12, Mode: "0644", ModifiedAt: 1700000000.5},
				{Path: "/workspace/b\ufffd\x1b[31m", ArtifactType: api.ArtifactFile, Mode: "0755", ModifiedAt: 1700000000, PathBase64: new(base64.StdEncoding.EncodeToString([]byte(odd)))},
				{Path: "/workspace/d", ArtifactType: api.ArtifactDirectory, Mode: "0755", ModifiedAt: 1700000000},
				{Path: "/workspace/l\n[hint] x", ArtifactType: api.ArtifactSymlink, SizeBytes: 4, LinkTarget: text("d/\u202ef"), Mode: "0777", ModifiedAt: 1700000000},
				{Path: "/workspace/p", ArtifactType: api.ArtifactSpecial, Mode: "0600", ModifiedAt: 1700000000},
			},
		},
		read: api.FileRead{
			WorkspaceID: testID, Path: "/workspace/f", SizeBytes: 9, MaxBytes: api.DefaultReadBytes, BytesRead: 7, Content: "zw\u00f6lf\x1b[1m",
			Encoding: api.EncodingUTF8, Truncated: true, ExecutionMode: api.ModeGuestVsock,
		},
		content: "raw \xff bytes\n",
		patch: api.Patch{
			WorkspaceID: testID, Changed: true, Summary: api.PatchSummary{Total: 2, Added: 1, Modified: 1}, ExecutionMode: api.ModeGuestVsock,
			Entries: []api.PatchEntry{{Path: "/workspace/a", Status: api.PatchModified}, {Path: "/workspace/n", Status: api.PatchAdded}}, Patch: "--- a/a\n",
		},
	}
}

func (w fakeWorkspace) Files() files { return filesOf(w) }

func (w fakeWorkspace) ApplyPatch(_ context.Context, patch io.Reader, req api.PatchRequest) (*api.Patch, error) {
	given, err := io.ReadAll(patch)
	_, refusal := w.c.answer(patched{req, string(given)})
	out := w.c.files.patch
	out.Checked = req.DryRun
	return &out, errors.Join(err, refusal)
}

type filesOf struct{ c *fakeClient }

func (f filesOf) List(_ context.Context, req api.FileListRequest) (*api.FileList, error) {
	_, err := f.c.answer(req)
	list := f.c.files.list
	list.Recursive = req.Recursive
	return &list, err
}

func (f filesOf) Stat(_ context.Context, path string) (*api.FileStat, error) {
	_, err := f.c.answer("stat " + path)
	return &api.FileStat{WorkspaceID: testID, FileEntry: f.c.files.list.Entries[3], ExecutionMode: api.ModeGuestVsock}, err
}

func (f filesOf) Read(_ context.Context, req api.FileReadRequest) (*api.FileRead, error) {
	_, err := f.c.answer(req)
	r := f.c.files.read
	if req.Base64 {
		r.ContentBase64 = new(base64.StdEncoding.EncodeToString([]byte(r.Content)))
	}
	return &r, err
}

func (f filesOf) ReadTo(_ context.Context, req api.FileRangeRequest, w io.Writer) (*api.FileRange, error) {
	if _, err := f.c.answer(req); err != nil {
		return nil, err
	}
	n, err := io.Copy(w, strings.NewReader(f.c.files.content))
	return &api.FileRange{
		WorkspaceID: testID, Path: "/workspace/f", SizeBytes: n, BytesRead: n, Mode: "0600", ModifiedAt: 1700000000, ExecutionMode: api.ModeGuestVsock,
	}, errors.Join(err, f.c.files.cut)
}

func (f filesOf) WriteFrom(_ context.Context, req api.FileWriteRequest, r io.Reader) (*api.FileWrite, error) {
	given, err := io.ReadAll(r)
	if err != nil {
		return nil, &api.Error{Kind: api.Invalid, Hint: "nothing has changed", Err: err}
	}
	n := int64(len(given))
	_, err = f.c.answer(written{req, string(given)})
	return &api.FileWrite{WorkspaceID: testID, Path: "/workspace/f", SizeBytes: n, BytesWritten: n, Created: true, ExecutionMode: api.ModeGuestVsock}, err
}

func (f filesOf) Delete(_ context.Context, req api.FileDeleteRequest) (*api.FileDelete, error) {
	_, err := f.c.answer(req)
	return &api.FileDelete{WorkspaceID: testID, Path: "/workspace/f", Deleted: true, ExecutionMode: api.ModeGuestVsock}, err
}

func (f filesOf) Mkdir(_ context.Context, req api.FileMkdirRequest) (*api.FileMkdir, error) {
	_, err := f.c.answer(req)
	return &api.FileMkdir{WorkspaceID: testID, Path: "/workspace/d", Created: true, ExecutionMode: api.ModeGuestVsock}, err
}

func (f filesOf) Move(_ context.Context, req api.FileMoveRequest) (*api.FileMove, error) {
	_, err := f.c.answer(req)
	return &api.FileMove{WorkspaceID: testID, FromPath: "/workspace/f", ToPath: "/workspace/g", ExecutionMode: api.ModeGuestVsock}, err
}
