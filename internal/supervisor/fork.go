package supervisor

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const opFork = "fork workspace"

// serveFork answers with an image of the disk as it is now, and keeps that until the
// client hangs up.
func (s *supervisor) serveFork(w http.ResponseWriter, r *http.Request) {
	var req api.ForkRequest
	err := decode(w, r, &req)
	var image *workspace.SavedDisk
	var free func()
	if err == nil {
		image, free, err = s.forkImage(r.Context(), req.Memory)
	}
	if err != nil {
		s.answer(w, opFork, nil, err)
		return
	}
	defer free()
	s.event(api.EventForked, api.Event{Entries: new(int64(req.Count))})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(image) // without a length: a client that has all of an answer hangs up
	_, _ = io.Copy(io.Discard, r.Body)   // so that the end of the connection is seen
	if http.NewResponseController(w).Flush() != nil {
		return
	}
	select {
	case <-r.Context().Done():
	case <-s.end:
	}
}

// forkImage makes an image that no record names. It is in the ledger, so that it goes
// whatever becomes of this process.
func (s *supervisor) forkImage(ctx context.Context, memory bool) (*workspace.SavedDisk, func(), error) {
	ctx, done, err := s.changeStates(ctx, opFork)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	s.touch()
	save := s.saveTo
	if memory {
		save = s.saveMemoryTo
	}
	part := s.held.Part(0)
	image := workspace.NewForkImage(int(s.forks.Add(1)), s.recorded().Pushes, s.Now())
	free := func() { _ = s.free(context.WithoutCancel(ctx), part) } // or with the rest
	err = part.Acquire(store.Resource{Kind: store.KindDir, Path: image.Dir(s.held.Path())})
	if err == nil {
		err = image.Make(s.held.Path())
	}
	if err == nil {
		err = save(ctx, s.box(), image)
	}
	if err != nil {
		free()
		return nil, nil, s.called(ctx, opFork, err)
	}
	fault.Hit("fork-imaged")
	return image, free, nil
}

// fork makes a new workspace that begins as another one is.
func (s *supervisor) fork(ctx context.Context, launch workspace.Launch) (*server, error) {
	from, err := workspace.Read(s.Store, launch.From.Workspace)
	if err != nil {
		return nil, api.About(opFork, launch.From.Workspace, err)
	}
	source, err := from.ForkSource(*launch.From)
	if err != nil {
		return nil, api.About(opFork, from.ID, err)
	}
	asked := launch.Request
	launch.Request = heir(from.Request, asked, from.ID)
	if err := workspace.Admit(launch.Request, s.Policy); err != nil {
		return nil, err
	}
	engines, err := s.choose(from.Engine.Name, asked.AllowHostCompat)
	if err != nil {
		return nil, err
	}
	if s.held, err = s.Store.Create(s.ID); err != nil {
		return nil, err
	}
	fault.Hit("fork-created")
	s.record = workspace.NewRecord(s.ID, launch, engines[0].Info(), s.Now())
	s.record.Seed, s.record.Origin = from.Seed, launch.From.Origin()
	server, err := s.inherit(ctx, &from, source)
	if err == nil {
		return server, nil
	}
	return nil, s.undo(ctx, opFork, err, s.held.Remove)
}

// heir is the request of a fork: that of what it is made from, but for its name, and
// without secrets.
func heir(from, asked api.CreateRequest, id string) api.CreateRequest {
	labels := maps.Clone(from.Labels)
	if labels == nil {
		labels = make(map[string]string)
	}
	labels[api.ForkedFrom] = id
	if api.CheckLabels(labels) != nil { // there are as many as there may be; the metadata say it, too
		labels = from.Labels
	}
	from.Name, from.Labels, from.Secrets, from.Seed = asked.Name, labels, nil, nil
	from.AllowHostCompat = asked.AllowHostCompat
	return from
}

// inherit does for a fork what make does for a workspace that begins with a seed.
func (s *supervisor) inherit(ctx context.Context, from *workspace.Record, source workspace.Source) (*server, error) {
	if err := s.reserve(); err != nil {
		return nil, err
	}
	engines, err := s.choose(from.Engine.Name, true) // consent was looked at
	if err != nil {
		return nil, err
	}
	if s.record.Supervisor, err = workspace.Myself(); err != nil {
		return nil, err
	}
	if err := workspace.Write(s.held, s.record); err != nil {
		return nil, err
	}
	fault.Hit("fork-recorded")
	path, origin := s.held.Path(), s.Store.Path(from.ID)
	if err := workspace.BorrowBaseline(ctx, path, origin, from.Baseline); err != nil {
		return nil, err
	}
	s.note(func(r *workspace.Record) { r.Baseline = from.Baseline })
	image, err := s.beginFork(ctx, engines[0], source, origin)
	if err != nil {
		return nil, err
	}
	fault.Hit("fork-sandbox")
	server, err := s.open(func(r *workspace.Record) {
		r.Disk, r.Proven, r.Engine = image, image, s.box().engine.Info()
		r.Pushes = r.PushesIn(image)
	})
	if err == nil {
		s.eventCreated()
		if source.Memory {
			s.meet(ctx)
		}
	}
	return server, err
}

// beginFork starts the sandbox of a fork, and returns the image that a later start brings
// back.
func (s *supervisor) beginFork(ctx context.Context, e engine.Engine, source workspace.Source, origin string) (*workspace.SavedDisk, error) {
	image, path := source.Disk, s.held.Path()
	if source.Memory {
		return s.wake(ctx, e, source, origin)
	}
	if image != nil {
		var err error
		if image, err = workspace.Borrow(ctx, path, &s.record, image, image.Dir(origin)); err != nil {
			return nil, err
		}
	}
	_, err := s.revive(ctx, e, image, source.Back, s.first)
	return image, err
}
