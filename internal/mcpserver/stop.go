package mcpserver

import "time"

// stop ends what calls began and did not end, and waits for that, but not for longer than
// patience: the process may end then, and with its connections its commands.
func (s *Server) stop(patience time.Duration) {
	s.over.Do(s.desk.running.cancelAll)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for _, e := range s.desk.running.unfinished() {
		select {
		case <-e.done:
		case <-timer.C:
			return
		}
	}
}

// Close ends what calls began, and the sessions of the old era, for whoever serves
// [Server.Handler]. It takes a few seconds at most.
func (s *Server) Close() {
	s.stop(stopTime / 2)
	for session := range s.mcp.Sessions() {
		go func() { _ = session.Close() }() // ends with the session's calls, or the process
	}
}

// unfinished are the commands that still run.
func (all *executions) unfinished() []*execution {
	all.mu.Lock()
	defer all.mu.Unlock()
	var live []*execution
	for e := range all.live {
		live = append(live, e)
	}
	return live
}
