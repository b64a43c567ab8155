package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const (
	// viewerPiece is how much a viewer is sent at once, in code points.
	viewerPiece = 16 << 10

	// viewerTime is how long the shell waits for a viewer that takes nothing.
	viewerTime = time.Second
)

// viewer is a terminal that is connected with a shell.
type viewer struct {
	cursor int64         // of the first code point that it was not sent
	moved  chan struct{} // closed when it is sent something; nil: nobody waits
	stuck  bool          // it took nothing for viewerTime, and is not waited for until it does
}

// attachShell connects a terminal with a shell until the shell has ended or the peer
// goes away, which leaves the shell as it is.
func (a *agent) attachShell(ctx context.Context, conn net.Conn, r *bufio.Reader, req *wire.AttachShellRequest) {
	s, err := a.sessions.get(wire.LaxString(req.ShellID))
	if err == nil && (req.Cols != 0 || req.Rows != 0) {
		if err = s.resize(api.TerminalSize{Cols: req.Cols, Rows: req.Rows}); s.stopped() {
			err = nil // its output is there all the same
		}
	}
	if err != nil {
		finish(conn, ending{}, err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	read := make(chan struct{})
	go func() { // ends with the connection, at the latest by the deadline below
		defer close(read)
		defer cancel()
		s.takeFrames(ctx, r)
		_ = conn.SetWriteDeadline(time.Unix(1, 0)) // nobody is there to take what is being sent
	}()
	if end, over := s.show(ctx, conn, req.Cursor); over {
		finish(conn, end, nil)
	}
	cancel()
	_ = conn.SetReadDeadline(time.Unix(1, 0))
	<-read
}

// takeFrames types what comes in frames, until the peer goes away.
func (s *session) takeFrames(ctx context.Context, r *bufio.Reader) {
	var buf []byte
	for {
		f, err := wire.ReadFrame(r, &buf)
		if err != nil || ctx.Err() != nil {
			return
		}
		switch f.Type {
		case wire.FrameStdin:
			s.typeAll(ctx, f.Payload)
		case wire.FrameResize:
			var size api.TerminalSize
			if json.Unmarshal(f.Payload, &size) == nil {
				_ = s.resize(size) // what is no size changes nothing
			}
		}
	}
}

// typeAll types text however long the shell takes for it. What is typed into a shell
// that has ended is dropped.
func (s *session) typeAll(ctx context.Context, text []byte) {
	for len(text) > 0 && ctx.Err() == nil {
		n, err := s.press(text)
		if err != nil {
			return
		}
		text = text[n:]
	}
}

// show sends what the shell prints, and returns how the shell ended, or false where the
// peer takes no more.
func (s *session) show(ctx context.Context, conn net.Conn, cursor int64) (ending, bool) {
	v := s.enterViewer(cursor)
	defer s.leave(v)
	to := frames{conn, wire.FrameStdout}
	for {
		text, changed, end := s.next(v)
		switch {
		case len(text) > 0:
			if _, err := to.Write(text); err != nil {
				return ending{}, false
			}
			s.sent(v)
			continue
		case end != nil:
			return *end, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ending{}, false
		}
	}
}

func (s *session) enterViewer(cursor int64) *viewer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cursor < 0 {
		cursor = s.out.end
	}
	v := &viewer{cursor: cursor}
	s.viewers[v] = true
	return v
}

func (s *session) leave(v *viewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.viewers, v)
	v.tell()
}

// sent says that a viewer has taken what next returned.
func (s *session) sent(v *viewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.stuck = false
	v.tell()
}

func (v *viewer) tell() {
	if v.moved != nil {
		close(v.moved)
		v.moved = nil
	}
}

// next is what a viewer is to be sent; when that is nothing, how the shell ended, or a
// channel that is closed when there is more.
func (s *session) next(v *viewer) (text []byte, changed <-chan struct{}, end *ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, first := s.out.read(v.cursor, viewerPiece)
	if len(text) > 0 {
		if lost := first - v.cursor; lost > 0 {
			text = append(fmt.Appendf(nil, "\r\n[pyro: %d characters are missing here]\r\n", lost), text...)
		}
		v.cursor = first + int64(utf8.RuneCount(text))
		return text, nil, nil
	}
	if s.ended != nil {
		took := s.ended.Time().Sub(s.p.begun)
		return nil, nil, &ending{code: s.code, took: max(took, 0)}
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return nil, s.changed, nil
}

// holdBack waits while a viewer that goes on reading is far behind, so that it misses
// nothing: then the terminal is full, and what prints waits. It returns when none is, or
// none has read for a while.
func (s *session) holdBack() {
	for {
		v, moved := s.slowest()
		if v == nil {
			return
		}
		patience := time.NewTimer(viewerTime)
		select {
		case <-moved:
			patience.Stop()
		case <-patience.C:
			s.mu.Lock()
			v.stuck = true
			s.mu.Unlock()
		}
	}
}

// slowest is a viewer to wait for, and a channel that is closed when it moves; or nil. It
// is behind by as many code points as are half of what is kept where each has four bytes.
func (s *session) slowest() (*viewer, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.viewers {
		if v.stuck || s.out.end-v.cursor <= int64(s.out.limit)/8 {
			continue
		}
		if v.moved == nil {
			v.moved = make(chan struct{})
		}
		return v, v.moved
	}
	return nil, nil
}
