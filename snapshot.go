package pyro

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const (
	opSnapshot       = "create snapshot"
	opListSnapshots  = "list snapshots"
	opDeleteSnapshot = "delete snapshot"
	opReset          = "reset workspace"
)

// CreateSnapshot saves the disk of a workspace that runs under a name, all of it and not
// only /workspace: what runs in it goes on. Where an engine can do no more, it is the
// files of /workspace; [api.Snapshot.Method] says which. A name that is taken is
// api.Exists; [api.Baseline], and one that does not match the pattern of names,
// api.Invalid. When it fails, or when ctx ends first, there is no such snapshot.
func (w *Workspace) CreateSnapshot(ctx context.Context, name string) (*api.SnapshotCreate, error) {
	req := api.SnapshotRequest{SnapshotName: strings.TrimSpace(name)}
	if err := req.Check(); err != nil {
		return nil, api.About(opSnapshot, w.id, err)
	}
	w.reach(ctx)
	made, err := send[api.SnapshotCreate](ctx, w, question{
		op: opSnapshot, method: http.MethodPost, path: "/v1/snapshots", within: saveTime, limit: maxReply,
	}, req)
	return made, w.explain(ctx, opSnapshot, err)
}

// Snapshots returns the baseline, which is always there, and the snapshots, the newest
// first, whether the workspace runs or not.
func (w *Workspace) Snapshots(ctx context.Context) (*api.SnapshotList, error) {
	list, err := ask[api.SnapshotList](ctx, w.control, question{op: opListSnapshots, method: http.MethodGet, path: "/v1/snapshots", within: answerTime, limit: maxReply})
	if !errors.Is(err, errAbsent) && !errors.Is(err, errCut) {
		return list, err
	}
	record, err := w.recorded(ctx)
	if err != nil {
		return nil, err
	}
	return record.SnapshotList(), nil
}

// DeleteSnapshot removes a snapshot, whether the workspace runs or not. One that does not
// exist is api.NotFound; the baseline is api.Invalid.
func (w *Workspace) DeleteSnapshot(ctx context.Context, name string) (*api.SnapshotDelete, error) {
	name = strings.TrimSpace(name)
	if err := api.CheckSnapshotName(name); err != nil {
		return nil, api.About(opDeleteSnapshot, w.id, err)
	}
	waiting, cancel := context.WithTimeout(ctx, w.client.patience)
	defer cancel()
	for {
		w.reach(waiting)
		gone, err := ask[api.SnapshotDelete](ctx, w.control, question{
			op: opDeleteSnapshot, method: http.MethodDelete, path: "/v1/snapshots/" + url.PathEscape(name), within: resetTime, limit: maxReply,
		})
		if errors.Is(err, errAbsent) {
			gone, err = workspace.DeleteSnapshot(ctx, w.client.store, w.id, name)
		}
		// It has just been stopped or started, or somebody is at it: then it is another's
		// turn first.
		if !errors.Is(err, api.Conflict) || !sys.Sleep(waiting, turnPause) {
			return gone, err
		}
	}
}

// resetTime is how long a reset may take: that long the disk may take to be read.
const resetTime = saveTime

// Reset brings the workspace back to a snapshot, or to its baseline: the state right after
// it was created. Commands, shells and services that run in it end; its history begins
// anew, see [Workspace.History]; snapshots, secrets, name, labels and the end of its time
// stay. The new state is proven to be good before anything is given up: after an error the
// workspace goes on as it was. A stopped one is started. Of two resets at once one waits.
func (w *Workspace) Reset(ctx context.Context, req api.ResetRequest) (*api.Reset, error) {
	req = req.WithDefaults()
	if err := req.Check(); err != nil {
		return nil, api.About(opReset, w.id, err)
	}
	waiting, cancel := context.WithTimeout(ctx, w.client.patience)
	defer cancel()
	for {
		w.reach(waiting)
		done, err := send[api.Reset](ctx, w, question{
			op: opReset, method: http.MethodPost, path: "/v1/reset", within: resetTime, limit: maxReply,
		}, req)
		if !errors.Is(err, errAbsent) {
			return done, err
		}
		done, busy, err := w.resetStopped(ctx, req)
		if busy == nil {
			return done, err
		}
		if !sys.Sleep(waiting, turnPause) {
			if ctx.Err() != nil {
				return nil, ended(ctx, opReset, w.id)
			}
			return nil, busy
		}
	}
}

// resetStopped starts one that does not run from an earlier state. It is busy where
// somebody else has it.
func (w *Workspace) resetStopped(ctx context.Context, req api.ResetRequest) (done *api.Reset, busy, err error) {
	before, err := w.recorded(ctx)
	if err != nil {
		return nil, nil, err
	}
	source, err := before.Source(req.Snapshot)
	if err != nil {
		return nil, nil, api.About(opReset, w.id, err)
	}
	started, busy, err := w.client.startStopped(ctx, workspace.KindWorkspace, w.id, api.StartRequest{Reset: req.Snapshot, AllowHostCompat: req.AllowHostCompat})
	if busy != nil || err != nil {
		return nil, busy, err
	}
	return &api.Reset{Workspace: *started.Seen(), WorkspaceReset: workspace.ResetTo(source.Snapshot)}, nil, nil
}
