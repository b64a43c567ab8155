package agent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// maxShellID is the longest id of a shell, in bytes. The host chooses it, and nothing is
// named after it.
const maxShellID = 128

// shellSignals are those that a shell may be sent.
var shellSignals = []string{"HUP", "INT", "TERM", "KILL"}

// shellMemory is what is kept of the output of all shells together, in bytes: many of
// them keep less each.
const shellMemory = 64 << 20

// sessions is the shells that are open, those that have ended and were not closed
// included. They live until they are closed or the agent ends.
type sessions struct {
	mu   sync.Mutex
	byID map[string]*session
	over bool // the agent ends
}

// enter starts s under its id. Nothing else enters meanwhile.
func (all *sessions) enter(s *session, start func() error) error {
	all.mu.Lock()
	defer all.mu.Unlock()
	switch {
	case all.over:
		return &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("the agent ends")}
	case all.byID[s.id] != nil:
		return &api.Error{Kind: api.Exists, Err: fmt.Errorf("shell %q exists already", s.id)}
	case len(all.byID) >= api.MaxShells:
		return &api.Error{
			Kind: api.Conflict, Hint: "close one that is not needed any more",
			Err: fmt.Errorf("%d shells are open, as many as there may be", api.MaxShells),
		}
	}
	if err := start(); err != nil {
		return err
	}
	if all.byID == nil {
		all.byID = make(map[string]*session)
	}
	all.byID[s.id] = s
	all.share()
	return nil
}

// share gives each shell its part of what is kept. It is called with the lock.
func (all *sessions) share() {
	for _, s := range all.byID {
		s.narrow(shellMemory / len(all.byID))
	}
}

// get finds a shell by its id.
func (all *sessions) get(id wire.LaxString) (*session, error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if s := all.byID[string(id)]; s != nil {
		return s, nil
	}
	return nil, &api.Error{Kind: api.NotFound, Err: fmt.Errorf("shell %q does not exist", id)}
}

// take is get for one who closes it: nobody finds it afterwards.
func (all *sessions) take(id wire.LaxString) (*session, error) {
	s, err := all.get(id)
	if err != nil {
		return nil, err
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.byID[s.id] != s {
		return nil, &api.Error{Kind: api.NotFound, Err: fmt.Errorf("shell %q does not exist", id)}
	}
	delete(all.byID, s.id)
	all.share()
	return s, nil
}

// list is every shell, the oldest first.
func (all *sessions) list() []*session {
	all.mu.Lock()
	defer all.mu.Unlock()
	return slices.SortedFunc(maps.Values(all.byID), func(a, b *session) int {
		return cmp.Or(a.p.begun.Compare(b.p.begun), cmp.Compare(a.p.pid, b.p.pid))
	})
}

// end kills all shells and returns when nothing of them is left. None is opened any more.
func (all *sessions) end() {
	all.mu.Lock()
	all.over = true
	all.mu.Unlock()
	var killed sync.WaitGroup
	for _, s := range all.list() {
		killed.Go(s.kill)
	}
	killed.Wait()
}

// openShell starts a shell.
func (a *agent) openShell(req *wire.OpenShellRequest) (*wire.ShellReply, error) {
	id := string(req.ShellID)
	if id == "" || len(id) > maxShellID || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' }) {
		return nil, invalid("shell_id %q is not allowed: 1 to %d bytes without control characters are", id, maxShellID)
	}
	size := api.TerminalSize{Cols: small(req.Cols), Rows: small(req.Rows)}
	if err := checkSize(size); err != nil {
		return nil, err
	}
	cwd, c, err := a.shellCommand(req)
	if err != nil {
		return nil, err
	}
	c.terminal = &size
	s := newSession(a, id, cwd, size)
	s.own = req.RedactValues
	s.hide(a.hidden.Set(s.own...))
	if err := a.sessions.enter(s, func() error { return s.start(c) }); err != nil {
		return nil, err
	}
	s.hide(a.hidden.Set(s.own...)) // where they were changed before it could be found
	reply := s.reply()
	return &reply, nil
}

// small is n as an int that is out of every bound where n is.
func small(n wire.LaxInt) int { return int(min(max(n, -1), 1<<30)) }

// shellCommand is the interactive shell of a request: bash, or what is there.
func (a *agent) shellCommand(req *wire.OpenShellRequest) (cwd string, c command, err error) {
	if c.env, err = a.environment(req.Env); err != nil {
		return "", c, err
	}
	if c.env["TERM"] == "" {
		c.env["TERM"] = defaultTerm
	}
	for name, value := range map[string]string{"PS1": "pyro$ ", "PROMPT_COMMAND": ""} {
		if _, asked := req.Env[name]; !asked {
			c.env[name] = value
		}
	}
	cwd = strings.TrimSpace(string(req.Cwd))
	if p, bad := parsePath(cwd); bad == nil {
		cwd = p.wire
	}
	if c.dir, err = a.directory(cwd); err != nil {
		return "", c, err
	}
	c.stdin = true
	c.argv = []string{"bash", "--noprofile", "--norc", "-i"}
	if _, argv, err := resolve(c); err != nil || argv[0] != "bash" {
		c.argv = []string{shell, "-i"}
	}
	return cwd, c, nil
}

// readShell returns what a shell has printed, from the oldest that is kept where the
// cursor lies before that.
func (a *agent) readShell(req *wire.ReadShellRequest) (*wire.ReadShellReply, error) {
	s, err := a.sessions.get(req.ShellID)
	if err != nil {
		return nil, err
	}
	if req.MaxChars < 1 {
		return nil, invalid("max_chars is %d, 1 or more is allowed", req.MaxChars)
	}
	reply := s.read(max(int64(req.Cursor), 0), int(min(req.MaxChars, api.ShellBufferBytes)))
	return &reply, nil
}

// writeShell types into a shell.
func (a *agent) writeShell(req *wire.WriteShellRequest) (*wire.WriteShellReply, error) {
	s, err := a.sessions.get(req.ShellID)
	if err != nil {
		return nil, err
	}
	text := string(req.Input)
	if len(text) > api.MaxShellInput {
		return nil, invalid("input is %d bytes long, at most %d are allowed", len(text), api.MaxShellInput)
	}
	if req.AppendNewline {
		text += "\n"
	}
	if err := s.enter([]byte(text)); err != nil {
		return nil, err
	}
	return &wire.WriteShellReply{
		ShellReply: s.reply(), InputLength: int64(utf8.RuneCountInString(string(req.Input))), AppendNewline: bool(req.AppendNewline),
	}, nil
}

// signalShell sends a signal to what runs in the foreground of a shell, which is the
// shell itself where it waits for input.
func (a *agent) signalShell(req *wire.SignalShellRequest) (*wire.SignalShellReply, error) {
	s, err := a.sessions.get(req.ShellID)
	if err != nil {
		return nil, err
	}
	name := strings.ToUpper(strings.TrimSpace(string(req.Signal)))
	if !slices.Contains(shellSignals, name) {
		return nil, invalid("signal %q is not allowed, %s are", req.Signal, strings.Join(shellSignals, ", "))
	}
	if err := s.signal(signals[name]); err != nil {
		return nil, err
	}
	return &wire.SignalShellReply{ShellReply: s.reply(), Signal: name}, nil
}

// closeShell ends a shell with all that came from it.
func (a *agent) closeShell(req *wire.CloseShellRequest) (*wire.CloseShellReply, error) {
	s, err := a.sessions.take(req.ShellID)
	if err != nil {
		return nil, err
	}
	s.close()
	return &wire.CloseShellReply{ShellReply: s.reply(), Closed: true}, nil
}

func (a *agent) listShells() *wire.ShellsReply {
	reply := &wire.ShellsReply{Shells: []wire.ShellReply{}}
	for _, s := range a.sessions.list() {
		reply.Shells = append(reply.Shells, s.reply())
	}
	return reply
}

// resizeShell changes the size of a shell's terminal.
func (a *agent) resizeShell(req *wire.ResizeShellRequest) (*wire.ShellReply, error) {
	s, err := a.sessions.get(wire.LaxString(req.ShellID))
	if err != nil {
		return nil, err
	}
	if err := s.resize(api.TerminalSize{Cols: req.Cols, Rows: req.Rows}); err != nil {
		return nil, err
	}
	reply := s.reply()
	return &reply, nil
}
