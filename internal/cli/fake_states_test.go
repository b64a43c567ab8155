package cli

import (
	"context"

	"github.com/pyro-sandbox/pyro/api"
)

// sampleStates are the baseline and two snapshots.
func sampleStates() []api.Snapshot {
	return []api.Snapshot{
		{WorkspaceID: testID, SnapshotName: api.Baseline, Kind: api.SnapshotBaseline, CreatedAt: 1700000000, EntryCount: 3, BytesWritten: 17, Method: api.MethodTree},
		{WorkspaceID: testID, SnapshotName: "red", Kind: api.SnapshotNamed, CreatedAt: 1700000200, EntryCount: 5, BytesWritten: 1234, Deletable: true, Method: api.MethodDisk, DiskBytes: 40960},
		{WorkspaceID: testID, SnapshotName: "green", Kind: api.SnapshotNamed, CreatedAt: 1700000100.5, EntryCount: 4, BytesWritten: 20, Deletable: true, Method: api.MethodDisk, DiskBytes: 40960},
	}
}

func (w fakeWorkspace) History(_ context.Context, last int) (*api.WorkspaceLogs, error) {
	if _, err := w.c.answer([]any{"history", last}); err != nil {
		return nil, err
	}
	logs := w.c.logs
	logs.Entries = append([]api.LogEntry(nil), logs.Entries...)
	for i := 1; i < len(logs.Entries); i++ {
		logs.Entries[i].ResetCount = 1
	}
	return &logs, nil
}

func (w fakeWorkspace) CreateSnapshot(_ context.Context, name string) (*api.SnapshotCreate, error) {
	if _, err := w.c.answer(api.SnapshotRequest{SnapshotName: name}); err != nil {
		return nil, err
	}
	made := sampleStates()[1]
	made.SnapshotName = name
	return &api.SnapshotCreate{WorkspaceID: testID, Snapshot: made, ExecutionMode: api.ModeGuestVsock}, nil
}

func (w fakeWorkspace) Snapshots(context.Context) (*api.SnapshotList, error) {
	_, err := w.c.answer("snapshots")
	return &api.SnapshotList{WorkspaceID: testID, Count: len(sampleStates()), Snapshots: sampleStates()}, err
}

func (w fakeWorkspace) DeleteSnapshot(_ context.Context, name string) (*api.SnapshotDelete, error) {
	_, err := w.c.answer("delete snapshot " + name)
	return &api.SnapshotDelete{WorkspaceID: testID, SnapshotName: name, Deleted: true}, err
}

func (w fakeWorkspace) Reset(_ context.Context, req api.ResetRequest) (*api.Reset, error) {
	now, err := w.c.answer(req)
	if err != nil {
		return nil, err
	}
	source := api.ResetSource{SnapshotName: req.Snapshot, Kind: api.SnapshotNamed, Destination: api.WorkspacePath, EntryCount: 5, BytesWritten: 1234}
	return &api.Reset{Workspace: *now, WorkspaceReset: source}, nil
}

func (w fakeWorkspace) Fork(_ context.Context, req api.ForkRequest) (*api.Fork, error) {
	now, err := w.c.answer(req)
	if err != nil {
		return nil, err
	}
	made := &api.Fork{WorkspaceID: testID, Count: req.Count}
	if req.From != "" {
		made.SnapshotName = &req.From
	}
	ids := []string{"aaaaaaaaaaaa", "bbbbbbbbbbbb"}
	for n := range min(req.Count, len(ids)) {
		one := *now
		one.WorkspaceID, one.Name, one.Limits = ids[n], nil, api.Limits{Enforced: true}
		if name := req.NameOf(n + 1); name != "" {
			one.Name = &name
		}
		made.Workspaces = append(made.Workspaces, one)
	}
	return made, nil
}
