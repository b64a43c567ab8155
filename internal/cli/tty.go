package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/pyro-sandbox/pyro/api"
)

// terminalOf returns the file of a stdin that is a terminal.
func terminalOf(stdin io.Reader) (*os.File, bool) {
	f, ok := stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, false
	}
	return f, true
}

// seat is our own terminal while a program of a guest has it. Who takes it leaves it in
// any case, so that the terminal is as it was, whatever happened. A nil seat is none.
type seat struct {
	file    *os.File
	raw     bool
	resized chan os.Signal
	gone    chan os.Signal
	release []func()

	mu    sync.Mutex
	state *term.State // as it was before it became raw; nil: it is not raw
}

// canSit refuses a command that wants a terminal which is not there.
func (a *app) canSit(e execution) error {
	if _, ok := a.sit(a.Stdin); e.tty && !ok {
		return noSeat()
	}
	return nil
}

func noSeat() error {
	return invalid("stdin is no terminal", "leave -t out: -i alone passes any stdin on")
}

// takeSeat takes our terminal for a guest. With raw, every key goes to the guest, those
// that send signals too.
func (a *app) takeSeat(raw bool) (*seat, error) {
	file, ok := a.sit(a.Stdin)
	if !ok {
		return nil, noSeat()
	}
	s := &seat{file: file, raw: raw, resized: make(chan os.Signal, 1), gone: make(chan os.Signal, 1)}
	if a.Terminal != nil {
		s.release = append(s.release, a.Terminal(s.resized, s.gone))
	}
	if !raw {
		return s, nil
	}
	state, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		s.leave()
		return nil, fmt.Errorf("terminal: %w", err)
	}
	s.state = state
	stderr := a.Stderr
	a.Stderr = &returning{w: stderr}
	s.release = append(s.release, func() { a.Stderr = stderr })
	return s, nil
}

// leave gives the terminal back. It may be called again.
func (s *seat) leave() {
	s.restore()
	for _, release := range slices.Backward(s.release) {
		release()
	}
	s.release = nil
}

func (s *seat) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != nil {
		_ = term.Restore(int(s.file.Fd()), s.state) // it is gone, or it is restored
		s.state = nil
	}
}

// guard is deferred by every goroutine of ours that runs while the terminal is taken: a
// panic of one ends the process, and with that no deferred leave.
func (s *seat) guard() {
	if s == nil {
		return
	}
	if cause := recover(); cause != nil {
		s.restore()
		panic(cause)
	}
}

// size is the terminal's, or where it knows none the usual one.
func (s *seat) size() api.TerminalSize {
	cols, rows, err := term.GetSize(int(s.file.Fd()))
	size := api.TerminalSize{Cols: cols, Rows: rows}
	if err != nil || size.Check() != nil {
		return api.TerminalSize{Cols: api.DefaultCols, Rows: api.DefaultRows}
	}
	return size
}

// follow tells of every change of size until ctx ends. It comes too when the process goes
// on after it was stopped, and others may have changed the terminal meanwhile.
func (s *seat) follow(ctx context.Context, tell func(api.TerminalSize)) {
	if s == nil {
		return
	}
	defer s.guard()
	for {
		select {
		case <-s.resized:
			s.again()
			tell(s.size())
		case <-ctx.Done():
			return
		}
	}
}

func (s *seat) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != nil {
		_, _ = term.MakeRaw(int(s.file.Fd())) // as it is already, most of the time
	}
}

// lost is where a signal comes that says that nobody sits here any more.
func (s *seat) lost() <-chan os.Signal {
	if s == nil {
		return nil
	}
	return s.gone
}

// number is that of a signal.
func number(s os.Signal) int {
	n, _ := strconv.Atoi(fmt.Sprintf("%d", s)) // 0 where it is none of this system's
	return n
}

// executeHere runs a command on our terminal. Its output is passed on as it is: it is a
// program that draws.
func (a *app) executeHere(ctx context.Context, tag string, ws workspace, c command) (*api.WorkspaceExec, error) {
	seat, err := a.takeSeat(c.Stdin != nil)
	if err != nil {
		return nil, err
	}
	defer seat.leave()
	size := seat.size()
	screen := &screen{w: a.Stdout, seat: seat}
	c.TTY, c.seat, c.Env = &size, seat, a.terminalEnv()
	c.Stdout, c.Stderr = screen, screen
	result, err := a.attend(ctx, tag, ws, c)
	seat.leave()
	a.newLine(screen)
	return result, err
}

// terminalEnv says to a guest what kind of terminal ours is.
func (a *app) terminalEnv() []string {
	i := slices.IndexFunc(a.Environ, func(entry string) bool { return strings.HasPrefix(entry, "TERM=") && entry != "TERM=" })
	if i < 0 {
		return nil
	}
	return []string{a.Environ[i]}
}

// newLine begins a line of our own where a guest has left one unfinished.
func (a *app) newLine(s *screen) {
	if s.last() != '\n' && s.last() != 0 && a.terminal(a.Stdout) {
		_, _ = io.WriteString(a.Stdout, "\r\n") // if it is gone, so is who would read on
	}
}

// screen passes a guest's bytes on as they are.
type screen struct {
	w    io.Writer
	seat *seat // given back where this panics
	mu   sync.Mutex
	b    byte // the last that was written
}

// Write implements io.Writer.
func (s *screen) Write(p []byte) (int, error) {
	defer s.seat.guard()
	if len(p) > 0 {
		s.mu.Lock()
		s.b = p[len(p)-1]
		s.mu.Unlock()
	}
	n, err := s.w.Write(p)
	if err != nil {
		err = newOutputError(s.w, "stdout", err)
	}
	return n, err
}

func (s *screen) last() byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b
}

// returning writes lines to a raw terminal, which does not go back to the left by itself.
type returning struct{ w io.Writer }

// Write implements io.Writer.
func (r *returning) Write(p []byte) (int, error) {
	if _, err := r.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
