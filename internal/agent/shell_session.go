package agent

import (
	"fmt"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/redact"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const (
	// hangUpTime is how long a closed shell, and what came from it, may take to end.
	hangUpTime  = 5 * time.Second
	hangUpAgain = time.Second // then it is told once more

	// settleTime is how long the beginning of a secret may be missing at the end of the
	// output when it is a short one: a prompt that happens to end so, and not the half
	// of a secret that the terminal has cut in two.
	settleTime = 20 * time.Millisecond

	nudgeTime = 50 * time.Millisecond
)

// session is a shell on a terminal, and what it has printed.
type session struct {
	agent *agent
	id    string
	cwd   string
	p     *process
	own   []string      // what was asked to be hidden, beside the secrets
	done  chan struct{} // closed when the shell has ended and its last output is kept
	typed chan struct{} // holds something while somebody types

	mu      sync.Mutex
	size    api.TerminalSize
	ended   *api.Timestamp
	code    int
	out     ring
	text    decoder
	stream  *redact.Stream
	plain   []byte // what a piece of output is without secrets; used again for the next
	decoded []byte // likewise as text
	settle  *time.Timer
	changed chan struct{} // closed when there is more, or the shell has ended; nil: nobody waits
	viewers map[*viewer]bool
}

func newSession(a *agent, id, cwd string, size api.TerminalSize) *session {
	s := &session{
		agent: a, id: id, cwd: cwd, size: size,
		done: make(chan struct{}), typed: make(chan struct{}, 1),
		out: ring{limit: api.ShellBufferBytes}, stream: redact.NewStream(nil),
		viewers: make(map[*viewer]bool),
	}
	s.settle = time.AfterFunc(time.Hour, s.release)
	s.settle.Stop()
	return s
}

// start starts the shell. It lives until close or kill, or it ends by itself.
func (s *session) start(c command) error {
	p, err := s.agent.start(c)
	if err != nil {
		return &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("start a shell: %w", err)}
	}
	s.p = p
	out := s.agent.pump(p.stdout, s, func() {})
	go s.attend(out) // ends with the shell
	return nil
}

// attend waits for the shell's end.
func (s *session) attend(out *pump) {
	status := <-s.p.ended
	s.agent.running.remove(s.p)
	s.p.letGo()
	out.finish()
	_ = s.p.stdin.Close()
	s.finish(status)
}

// hide says what is taken out of the output from now on.
func (s *session) hide(set *redact.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream.Use(set)
}

// narrow bounds what is kept of the output, in bytes.
func (s *session) narrow(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.bound(min(limit, api.ShellBufferBytes))
}

// Write keeps output of the shell. It implements io.Writer and never fails.
func (s *session) Write(b []byte) (int, error) {
	s.mu.Lock()
	s.plain = s.stream.Append(s.plain[:0], b)
	s.keep(s.plain, false)
	if s.stream.Held() > 0 {
		s.settle.Reset(settleTime)
	}
	s.mu.Unlock()
	s.holdBack()
	return len(b), nil
}

// release shows what is held back and short.
func (s *session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.plain = s.stream.Release(s.plain[:0])
		s.keep(s.plain, false)
	}
}

// keep adds output without secrets. It is called with the lock.
func (s *session) keep(b []byte, final bool) {
	s.decoded = s.text.decode(s.decoded[:0], b, final)
	if len(s.decoded) > 0 {
		s.out.write(s.decoded)
		s.wake()
	}
}

// wake tells those who wait. It is called with the lock.
func (s *session) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// finish is called when all output was written.
func (s *session) finish(st status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle.Stop()
	s.keep(s.stream.Flush(nil), true)
	if s.p.oom.Load() {
		s.keep([]byte("\r\npyro: the shell was killed, the memory of the workspace is used up\r\n"), true)
	}
	at := api.At(st.at)
	s.ended, s.code = &at, st.wait.ExitStatus()
	if st.wait.Signaled() {
		s.code = -int(st.wait.Signal())
	}
	s.wake()
	close(s.done)
}

func (s *session) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended != nil
}

func (s *session) notRunning() error {
	return &api.Error{Kind: api.Conflict, Err: fmt.Errorf("shell %q is not running", s.id)}
}

func (s *session) reply() wire.ShellReply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.summary()
}

// summary is called with the lock.
func (s *session) summary() wire.ShellReply {
	r := wire.ShellReply{
		ShellID: s.id, Cwd: s.cwd, Cols: s.size.Cols, Rows: s.size.Rows,
		State: wire.ShellRunning, StartedAt: api.At(s.p.begun),
	}
	if s.ended != nil {
		at, code := *s.ended, s.code
		r.State, r.EndedAt, r.ExitCode = wire.ShellStopped, &at, &code
	}
	return r
}

// read returns up to most code points from a place on.
func (s *session) read(cursor int64, most int) wire.ReadShellReply {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, first := s.out.read(cursor, most)
	next := first + int64(utf8.RuneCount(text))
	return wire.ReadShellReply{
		ShellReply: s.summary(), Cursor: first, NextCursor: next, Output: string(text),
		Truncated: next < s.out.end || first > cursor, SkippedChars: max(first-cursor, 0),
	}
}

func (s *session) resize(size api.TerminalSize) error {
	if err := checkSize(size); err != nil {
		return err
	}
	if s.stopped() {
		return s.notRunning()
	}
	if err := s.p.resize(size); err != nil {
		return s.notRunning() // it has just ended: nothing else fails
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = size
	return nil
}

// signal sends a signal to what runs in the foreground.
func (s *session) signal(sig syscall.Signal) error {
	if s.stopped() {
		return s.notRunning()
	}
	s.p.deliver(sig)
	s.nudge()
	return nil
}

// nudge wakes the shell a moment after a signal. bash looks for signals that have come
// before it waits for a key, and sleeps on one that comes in between the two; what tells
// it that the size may have changed wakes it, and does nothing else.
func (s *session) nudge() {
	time.AfterFunc(nudgeTime, func() {
		if !s.stopped() {
			s.p.signal(syscall.SIGWINCH)
		}
	})
}

// close ends the shell and everything that came from it: a hangup, as if the terminal
// went away, and KILL for what is left of it after a while.
func (s *session) close() {
	grace := time.NewTimer(hangUpTime)
	defer grace.Stop()
	again := time.NewTimer(hangUpAgain)
	defer again.Stop()
	known := s.p.kin(nil)
	if len(known) > 0 {
		s.p.tell(syscall.SIGHUP, syscall.SIGCONT) // what is stopped could not end
		s.nudge()
	}
	for wait := time.Millisecond; len(known) > 0; wait = min(2*wait, 50*time.Millisecond) {
		look := time.NewTimer(wait)
		select {
		case <-look.C:
			known = s.p.kin(known)
		case <-again.C: // also a nudge may come at the wrong moment
			s.p.tell(syscall.SIGHUP)
		case <-grace.C:
			known = nil
		}
		look.Stop()
	}
	s.kill()
}

// kill ends the shell and everything that came from it at once.
func (s *session) kill() {
	s.p.killAll()
	dying := time.NewTimer(maxDying)
	defer dying.Stop()
	select {
	case <-s.done:
	case <-dying.C: // it sleeps in the kernel, and is left to the end of the guest
	}
}
