package workspace

import (
	"context"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/journal"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// Logs is a history as its owner sees it.
func Logs(id string, entries []api.LogEntry) *api.WorkspaceLogs {
	if entries == nil {
		entries = []api.LogEntry{}
	}
	return &api.WorkspaceLogs{WorkspaceID: id, Count: len(entries), Entries: entries}
}

// Since is the part of a history to read, after that many resets.
func Since(resets int, all bool) int {
	if all {
		return journal.All
	}
	return resets
}

// ReadLogs reads the history of a workspace that no supervisor answers for: its last
// commands, or all of them for 0; those of before the last reset only where all is set.
func ReadLogs(ctx context.Context, st *store.Store, id string, last int, all bool) (*api.WorkspaceLogs, error) {
	now, err := Status(ctx, st, id)
	if err != nil {
		return nil, err
	}
	entries, err := journal.Read(st.Path(id), last, Since(now.ResetCount, all))
	if err != nil {
		return nil, &api.Error{Kind: api.Internal, Op: "read logs", ID: id, Err: err}
	}
	return Logs(id, entries), nil
}
