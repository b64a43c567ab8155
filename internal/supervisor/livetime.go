package supervisor

import (
	"maps"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
)

// liveTime is when something in the guest began, was ready and ended, by the clock of this
// machine: when it was asked for, and when it was first seen to be so. What the guest says
// of times is not passed on.
type liveTime struct {
	begun        api.Timestamp
	ready, ended *api.Timestamp
}

// liveTimes are those of the shells, or of the services, by id or name.
type liveTimes struct {
	mu sync.Mutex
	of map[string]liveTime
}

// begin notes that one was asked for at a time, and is another than what had its name.
func (s *liveTimes) begin(name string, at api.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.of[name]
	if seen.begun < at { // else it was seen before whoever asked for it was answered
		seen = liveTime{}
	}
	seen.begun = at
	s.put(name, seen)
}

// see notes how one is now, and returns when that came about.
func (s *liveTimes) see(name string, now api.Timestamp, ready, ended bool) liveTime {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, known := s.of[name]
	if !known || seen.ended != nil && !ended { // another of that name
		seen = liveTime{begun: now}
	}
	if ready && seen.ready == nil {
		seen.ready = &now
	}
	if ended && seen.ended == nil {
		seen.ended = &now
	}
	s.put(name, seen)
	return seen
}

func (s *liveTimes) put(name string, seen liveTime) {
	if s.of == nil {
		s.of = make(map[string]liveTime)
	}
	s.of[name] = seen
}

// keep forgets all but those of these names.
func (s *liveTimes) keep(names map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.of, func(name string, _ liveTime) bool { return !names[name] })
}
