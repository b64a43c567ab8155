package gvisor

import "github.com/pyro-sandbox/pyro/internal/engine"

var _ engine.WriteTeller = (*sandbox)(nil)

// TellsWrites implements engine.WriteTeller. gVisor changes the time of a file with every
// write but those through shared mappings, and pyro-runsc tells which files were ever
// mapped so. Of a sandbox that started from memory it does not know those that its
// processes had mapped before. A pyro-runsc of another version may not tell: the agent found
// out at the start, before anything else ran.
func (s *sandbox) TellsWrites() bool { return s.tells && s.spec.Memory == "" }
