package supervisor

import (
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// view is the workspace as its owner sees it now.
func (s *supervisor) view() *api.Workspace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.View(s.Store.RunDir(s.ID))
}

// recorded is the record as it is now. What its pointers lead to is never changed.
func (s *supervisor) recorded() workspace.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record
}

// note changes the record. Everybody sees it at once; that it outlives this process
// is up to save.
func (s *supervisor) note(change func(*workspace.Record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.record)
	s.dirty = true
}

// noteOf is note of what was found out about a sandbox. Nothing is changed where another
// has taken its place since.
func (s *supervisor) noteOf(b *box, change func(*workspace.Record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.box() == b {
		change(&s.record)
		s.dirty = true
	}
}

// change changes the record on disk, and only then for everybody: both or neither. What
// pointers and slices in it lead to must not be changed.
func (s *supervisor) change(change func(*workspace.Record) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.tooLate("workspace")
	}
	next := s.record
	if err := change(&next); err != nil {
		return err
	}
	if err := workspace.Write(s.held, next); err != nil {
		return err
	}
	s.record, s.dirty = next, false
	return nil
}

// save writes what was noted. After a failure, as on a full disk, the next call
// tries again.
func (s *supervisor) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return s.tooLate("workspace")
	case !s.dirty:
		return nil
	}
	if err := workspace.Write(s.held, s.record); err != nil {
		return err
	}
	s.dirty = false
	return nil
}

// close gives up the lock, and with it the right to write.
func (s *supervisor) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	_ = s.held.Unlock()
}
