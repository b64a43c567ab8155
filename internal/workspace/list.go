package workspace

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/events"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// List shows every workspace of the state directory, the most recently used first.
// One that cannot be read is listed as broken and never stops the rest. One-shot
// runs are not workspaces and are left out.
//
// It also frees what killed processes left, as Sweep does; that something resists
// is no reason not to list the rest.
func List(ctx context.Context, st *store.Store) (*api.WorkspaceList, error) {
	_ = st.Sweep(ctx)
	ids, err := st.IDs()
	if err != nil {
		return nil, err
	}
	list := &api.WorkspaceList{Workspaces: []api.WorkspaceSummary{}}
	for _, r := range settleAll(ctx, st, ids) {
		if r != nil && r.Kind == KindWorkspace {
			list.Workspaces = append(list.Workspaces, r.Summary())
		}
	}
	slices.SortFunc(list.Workspaces, func(a, b api.WorkspaceSummary) int {
		return cmp.Or(
			cmp.Compare(b.LastActivityAt, a.LastActivityAt),
			cmp.Compare(b.CreatedAt, a.CreatedAt),
			cmp.Compare(a.WorkspaceID, b.WorkspaceID),
		)
	})
	list.Count = len(list.Workspaces)
	return list, nil
}

// Find is Status of what is no VM.
func Find(ctx context.Context, st *store.Store, id string) (*api.Workspace, error) {
	if IsVM(st, id) {
		return nil, NoWorkspace(id)
	}
	return Status(ctx, st, id)
}

// Status shows a workspace that no supervisor answers for.
func Status(ctx context.Context, st *store.Store, id string) (*api.Workspace, error) {
	if err := api.CheckID(id); err != nil {
		return nil, err
	}
	r := settle(ctx, st, id)
	if r == nil {
		return nil, Missing(st, id)
	}
	return r.View(""), nil
}

// settleAll is settle for many, on all processors: nearly all of the time goes into
// decoding.
func settleAll(ctx context.Context, st *store.Store, ids []string) []*Record {
	records := make([]*Record, len(ids))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(ids)) {
		workers.Go(func() { // ends with the list
			for i := next.Add(1) - 1; i < int64(len(ids)); i = next.Add(1) - 1 {
				records[i] = settle(ctx, st, ids[i])
			}
		})
	}
	workers.Wait()
	return records
}

// settle reads a record as it truly is. Where it says that the workspace is running
// and nobody holds the lock, the supervisor was killed: what it left is freed, and
// the record put right. It returns nil for what is not there, or not any more.
func settle(ctx context.Context, st *store.Store, id string) *Record {
	r, lost, err := observe(st, id)
	if lost && sweepOne(ctx, st, id) == nil {
		r, _, err = observe(st, id)
	}
	if err == nil && r.State == api.StateStopped && r.Expired(time.Now()) {
		return nil // and it resists being removed
	}
	if errors.Is(err, api.NotFound) {
		return nil
	}
	return &r
}

// observe reads a record and corrects it by what can be seen. It is lost if the
// record says that it runs, but nobody holds the lock, or if it is stopped and its
// time is over, or something of a sandbox is there: somebody has to see to it. A record that cannot be read comes back as
// a broken workspace beside the error.
func observe(st *store.Store, id string) (r Record, lost bool, err error) {
	r, err = Read(st, id)
	if err != nil {
		return Record{ID: id, Kind: KindWorkspace, State: api.StateBroken, Reason: ReasonUnreadable + ": " + err.Error()}, false, err
	}
	if r.State == api.StateStopped {
		return r, r.Expired(time.Now()) || leftover(st, id), nil
	}
	running, err := st.Running(id)
	if lost = err == nil && !running; lost {
		r.State, r.Reason = api.StateStopped, whyLost(r)
	}
	return r, lost, err
}

// leftover reports whether a stopped workspace has a run directory: somebody looks at its
// disk just now, or was killed meanwhile.
func leftover(st *store.Store, id string) bool {
	_, err := os.Lstat(st.RunDir(id))
	return err == nil
}

// whyLost is why a workspace that ran is left without its supervisor.
func whyLost(r Record) string {
	if boot, err := sys.BootID(); err == nil && r.Supervisor.BootID != "" && r.Supervisor.BootID != boot {
		return ReasonRebooted
	}
	return ReasonSupervisorLost
}

// Delete removes a workspace that no supervisor holds, a broken one too, and
// returns when nothing of it is left. With a live supervisor it returns a Conflict.
func Delete(ctx context.Context, st *store.Store, id string) (*api.WorkspaceDelete, error) {
	if err := api.CheckID(id); err != nil {
		return nil, err
	}
	w, err := st.Lock(ctx, id)
	if errors.Is(err, api.NotFound) {
		return nil, Missing(st, id)
	} else if err != nil {
		return nil, err
	}
	defer func() { _ = w.Unlock() }()
	_ = Bury(w, api.ReasonExplicitDelete, time.Now())
	if err := w.Remove(ctx); err != nil {
		return nil, api.About("delete workspace", id, err)
	}
	return &api.WorkspaceDelete{WorkspaceID: id, Deleted: true, Reason: api.ReasonExplicitDelete}, nil
}

// Kill ends the supervisor of a workspace that does not answer, and waits until it is
// gone, lock and all. Its sandbox dies with it; what they had is still to be freed.
// It is api.NotFound where the record names no process of this boot.
func Kill(ctx context.Context, st *store.Store, id string) error {
	r, err := Read(st, id)
	if err != nil {
		return err
	}
	boot, err := sys.BootID()
	if err != nil || r.Supervisor.PID == 0 || r.Supervisor.BootID != boot {
		return errors.Join(err, &api.Error{Kind: api.NotFound, Op: "end supervisor", ID: id})
	}
	if err := r.Supervisor.Kill(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	return r.Supervisor.Wait(ctx)
}

// killTime is more than a killed process takes to be gone.
const killTime = 5 * time.Second

// Sweep frees what killed supervisors left: it removes one-shot runs that nobody
// holds, and workspaces that were never finished, and frees the sandboxes of those
// whose supervisor is gone. It removes stopped workspaces whose time is over.
// Workspaces that are held, and those that cannot be read, are left alone.
func Sweep(ctx context.Context, st *store.Store) error {
	ids, err := st.IDs()
	if err != nil {
		return err
	}
	errs := []error{st.Sweep(ctx)}
	for _, id := range ids {
		if _, lost, _ := observe(st, id); lost {
			errs = append(errs, sweepOne(ctx, st, id))
		}
	}
	return errors.Join(errs...)
}

// sweepOne does it for one whose supervisor seemed to be gone.
func sweepOne(ctx context.Context, st *store.Store, id string) error {
	w, err := st.Lock(ctx, id)
	if errors.Is(err, api.Conflict) || errors.Is(err, api.NotFound) {
		return nil // somebody else is at it
	} else if err != nil {
		return err
	}
	defer func() { _ = w.Unlock() }()
	r, err := Read(st, id) // again, now that nobody else writes
	switch {
	case err != nil:
		return err
	case r.Expired(time.Now()):
		_ = Bury(w, ReasonExpired, time.Now())
		return w.Remove(ctx)
	case r.State == api.StateStopped:
		return w.Reap(ctx)
	case r.Kind == KindRun || r.State == api.StateCreated: // nobody was told of it
		return w.Remove(ctx)
	}
	return Settle(ctx, w, &r)
}

// Settle frees what the supervisor of a workspace left that was killed, and says so in
// its record.
func Settle(ctx context.Context, w *store.Workspace, r *Record) error {
	if err := w.Reap(ctx); err != nil {
		return err
	}
	r.State, r.Reason = api.StateStopped, whyLost(*r)
	r.EndServices(true, time.Now())
	if r.Kind == KindWorkspace { // on a full disk it is settled all the same
		_ = events.Append(w.Path(), api.Event{Kind: api.EventStopped, At: api.At(time.Now()), Reason: &r.Reason})
	}
	return Write(w, *r)
}
