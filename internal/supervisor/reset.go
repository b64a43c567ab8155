package supervisor

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const opReset = "reset workspace"

// serveReset answers when the workspace is as it was, and nothing runs any more of how it
// was until then. A client that goes away before it is decided has called it off.
func (s *supervisor) serveReset(w http.ResponseWriter, r *http.Request) {
	var req api.ResetRequest
	err := decode(w, r, &req)
	req = req.WithDefaults()
	if err == nil {
		err = req.Check()
	}
	var done *api.Reset
	if err == nil {
		done, err = s.reset(r.Context(), req.Snapshot)
	}
	s.answer(w, opReset, done, err)
}

// reset starts another sandbox from an earlier state, beside the one that there is. Only
// when that has been proven good does it take its place.
func (s *supervisor) reset(ctx context.Context, name string) (*api.Reset, error) {
	ctx, done, err := s.changeStates(ctx, opReset)
	if err != nil {
		return nil, err
	}
	defer done()
	now := s.recorded()
	source, err := now.Source(name)
	if err != nil {
		return nil, err
	}
	s.secrets.changing.Lock() // those of the old sandbox are those of the new one
	defer s.secrets.changing.Unlock()
	fresh, err := s.prove(ctx, s.box().engine, source)
	if err != nil {
		return nil, s.called(ctx, opReset, err)
	}
	old, err := s.replace(ctx, fresh, source.Disk)
	if err != nil {
		return nil, errors.Join(err, s.release(ctx, fresh))
	}
	s.event(api.EventReset, api.Event{Name: &name})
	err = s.giveUp(context.WithoutCancel(ctx), old)
	return &api.Reset{Workspace: *s.view(), WorkspaceReset: workspace.ResetTo(source.Snapshot)}, err
}

// called is why something did not come about: the workspace ended, or what went wrong.
func (s *supervisor) called(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil && s.over() {
		return s.tooLate(op)
	}
	return err
}

// prove starts a sandbox from an earlier state and makes sure that it is one that could be
// used. After an error nothing is left of it.
func (s *supervisor) prove(ctx context.Context, e engine.Engine, source workspace.Source) (*box, error) {
	fresh, err := s.revive(ctx, e, source.Disk, source.Back, s.second)
	if err == nil {
		err = s.putSecrets(ctx, fresh, s.secrets.all())
	}
	if err == nil {
		_, err = fresh.agent().Hello(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil && fresh != nil {
		err = errors.Join(err, s.release(ctx, fresh))
	}
	if err != nil {
		return nil, err
	}
	fault.Hit("reset-proven")
	return fresh, nil
}

// replace makes a sandbox the one that users mean, and what it was started from that which
// start brings back: in one step, the replacement of the record. It returns the sandbox
// that there was. After an error everything is as it was.
func (s *supervisor) replace(ctx context.Context, fresh *box, from *workspace.SavedDisk) (*box, error) {
	s.turn.Lock() // nothing begins
	defer s.turn.Unlock()
	s.saving.Lock() // and nothing is saved
	defer s.saving.Unlock()
	if s.over() {
		return nil, s.tooLate(opReset)
	}
	path, before := s.held.Path(), s.recorded()
	var image *workspace.SavedDisk
	var err error
	if from != nil {
		if image, err = workspace.Borrow(ctx, path, &before, from, from.Dir(path)); err != nil {
			return nil, err
		}
	}
	fault.Hit("reset-deciding")
	old, err := s.swap(fresh, image)
	if err != nil {
		if image != nil {
			err = s.discard(image, err)
		}
		return nil, err
	}
	fault.Hit("reset-decided")
	s.saved = marks{begun: s.use.begun.Load()}
	go s.stampLater(fresh, s.saved) // ends with the stamp
	return old, nil
}

// swap writes the record of a workspace that is reset, and only then is it.
func (s *supervisor) swap(fresh *box, image *workspace.SavedDisk) (*box, error) {
	if err := fault.Error("reset-write"); err != nil {
		return nil, sys.Explain("write record "+s.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, s.tooLate(opReset)
	}
	next := s.record
	next.Reset(image, s.Now())
	next.Limits, next.Engine = fresh.Limits(), fresh.engine.Info()
	if err := workspace.Write(s.held, next); err != nil {
		return nil, err
	}
	fault.Hit("reset-recorded")
	old := s.box()
	s.record, s.dirty = next, false
	s.boxes.current.Store(fresh)
	old.replaced.Store(true)
	if s.journal != nil {
		s.journal.Reset(next.ResetCount)
	}
	return old, nil
}

// stampLater notes what the disk is like that the sandbox was started with. It takes its
// time where the disk has just been written to.
func (s *supervisor) stampLater(b *box, at marks) {
	keeper, ok := b.Sandbox.(engine.DiskSnapshotter)
	if !ok {
		return
	}
	stamp, err := keeper.DiskStamp()
	s.saving.Lock()
	defer s.saving.Unlock()
	if err == nil && s.box() == b && s.saved == at {
		s.saved.stamp = stamp
	}
}

// giveUp ends the sandbox that another has taken the place of, and all that ran in it.
// What it had on the host is freed behind the answer.
func (s *supervisor) giveUp(ctx context.Context, old *box) error {
	err := old.end(ctx)
	s.endServicesOf(old)
	s.drainOf(ctx, s.recorded().ResetCount)
	s.boxes.later(func() {
		if err := errors.Join(s.freeBox(ctx, old), s.tidy()); err != nil {
			s.complain(true, err)
		}
	})
	return err
}

// tidy removes the files of a state that was given up.
func (s *supervisor) tidy() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	if s.over() {
		return nil // whoever has it next does that
	}
	_ = os.Remove(filepath.Join(s.held.Path(), scanName))
	now := s.recorded()
	return workspace.PruneImages(s.held.Path(), &now)
}

// drainOf waits until the commands of before the last reset have written into the history
// how they ended.
func (s *supervisor) drainOf(ctx context.Context, resets int) {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	for ctx.Err() == nil {
		older := false
		for n := range s.unended() {
			older = older || n.resets < resets
		}
		if !older {
			return
		}
		sys.Sleep(ctx, drainPause)
	}
}

// startFrom is the state that a stopped workspace is started from.
func (s *supervisor) startFrom(req api.StartRequest) (workspace.Source, error) {
	if req.Reset != "" {
		return s.record.Source(req.Reset)
	}
	from := s.record.Disk
	if req.Previous {
		from = s.record.Previous()
	}
	if from == nil {
		return workspace.Source{}, nil
	}
	return workspace.Source{Disk: from, Back: s.record.WayBack(from)}, nil
}

// adopt is the image that the next start brings back, after one from that state.
func (s *supervisor) adopt(ctx context.Context, req api.StartRequest, source workspace.Source) (*workspace.SavedDisk, error) {
	if req.Reset == "" || source.Disk == nil {
		return source.Disk, nil
	}
	path := s.held.Path()
	return workspace.Borrow(ctx, path, &s.record, source.Disk, source.Disk.Dir(path))
}
