package supervisor

import (
	"io"
	"maps"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/journal"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// maxKept is how much of each stream of a command the history keeps, in bytes. With
// the mark in the middle it is below the 1 MiB that the journal takes.
const maxKept = 1<<20 - 1<<10

// entry is a command on its way into the history. It has a number and a line there
// before it runs: whatever ends this process, what was begun is known.
type entry struct {
	s    *supervisor
	kept *capture
	log  api.LogEntry
	box  *box   // where it runs
	done func() // the workspace is not in use by it any more
}

// number tells commands apart: after each reset sequences begin at 1.
type number struct{ resets, sequence int }

func numberOf(e *api.LogEntry) number { return number{e.ResetCount, e.Sequence} }

// begin gives a command its number, unless it comes too late.
func (s *supervisor) begin(run run) (*entry, error) {
	done, err := s.enter("exec")
	if err != nil {
		return nil, err
	}
	e := &entry{s: s, kept: newCapture(maxKept), done: done}
	s.note(func(r *workspace.Record) {
		e.log = api.LogEntry{
			LastCommand: api.LastCommand{
				Sequence: r.Began(s.Now()), Command: run.shown, Cwd: run.cwd, ExecutionMode: r.Mode(),
			},
			RecordedAt: api.At(s.Now()), ResetCount: r.ResetCount,
		}
		e.box = s.box() // a reset replaces it while it has the record
		s.begun[numberOf(&e.log)] = true
	})
	if s.journal != nil {
		_ = s.journal.Begin(e.log) // on a full disk the command runs all the same
	}
	fault.Hit("exec-begun")
	return e, nil
}

// ended turns the agent's word into a result and notes it; the caller saves the
// record when the client has its answer. It is the guest's word: nothing on the host
// depends on it. What a command wrote that ended while the disk was being saved for a
// stop may not be in the image: nobody is told that it succeeded.
func (e *entry) ended(frame wire.Frame) (*api.WorkspaceExec, error) {
	if err := e.s.sure("exec"); err != nil {
		return nil, e.lost(io.EOF)
	}
	if e.box.replaced.Load() {
		return nil, e.lost(errReset)
	}
	exit, err := frame.Exit()
	if err != nil {
		return nil, e.lost(err)
	}
	e.log.ExitCode, e.log.DurationMS, e.log.Reason = exit.Code, exit.DurationMS, knownReason(exit.Reason)
	e.close()
	return &api.WorkspaceExec{
		WorkspaceID: e.s.ID, Environment: e.s.recorded().Request.Environment, Command: e.log.Command, ExitCode: exit.Code,
		DurationMS: exit.DurationMS, ExecutionMode: e.log.ExecutionMode, Sequence: e.log.Sequence, Cwd: e.log.Cwd,
		Reason: e.log.Reason,
	}, nil
}

// lost notes that nobody knows what became of the command, unless it ended with the
// workspace, and returns err as the client is to see it.
func (e *entry) lost(err error) error {
	reason := api.EndedUnknown
	switch {
	case e.box.replaced.Load():
		reason, err = api.EndedByReset, errReset
	case e.s.wasStopped():
		reason = api.EndedByStop
	}
	e.log.ExitCode, e.log.Reason = -1, &reason
	e.close()
	return e.s.lost(err)
}

// refused notes that the command did not run.
func (e *entry) refused(err error) error {
	reason := api.EndedRefused
	e.log.ExitCode, e.log.Reason = -1, &reason
	_ = e.kept.output(wire.FrameStderr, []byte(err.Error()+"\n"))
	e.close()
	return err
}

// close writes the entry into the history and the record.
func (e *entry) close() {
	defer e.done()
	e.s.note(func(r *workspace.Record) {
		if r.ResetCount == e.log.ResetCount {
			r.Ran(e.log.LastCommand, e.s.Now())
		}
	})
	e.s.eventExec(&e.log)
	defer e.s.note(func(*workspace.Record) { delete(e.s.begun, numberOf(&e.log)) }) // when its end can be read
	if e.s.journal == nil {
		return
	}
	e.log.Stdout, e.log.StdoutTruncated = e.kept.stdout.text()
	e.log.Stderr, e.log.StderrTruncated = e.kept.stderr.text()
	_ = e.s.journal.End(e.log) // on a full disk: what was begun stays, its end unknown
	fault.Hit("exec-ended")
}

// tellRunning marks the commands whose end is unknown only because it has not come.
func tellRunning(entries []api.LogEntry, begun map[number]bool) {
	running := api.EndedRunning
	for i := range entries {
		if journal.Unfinished(entries[i]) && begun[numberOf(&entries[i])] {
			entries[i].Reason = &running
		}
	}
}

// unended are the commands that run now.
func (s *supervisor) unended() map[number]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.begun)
}

// knownReason lets nothing through that the guest made up.
func knownReason(reason string) *string {
	switch reason {
	case api.EndedByTimeout, api.EndedByOOM, api.EndedByCancel:
		return &reason
	default:
		return nil
	}
}
