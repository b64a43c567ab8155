package agent

import (
	"fmt"
	"os"
	"time"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
)

const (
	// typingTime is how long a shell that takes none of it may hold up somebody's
	// typing, and maxTyping how long all of one text may take; the host waits longer.
	typingTime = 5 * time.Second
	maxTyping  = 20 * time.Second

	// keyTime is how long one attempt waits for room in the terminal: whether there is
	// some, is looked at again at the latest then, and somebody else may type.
	keyTime = 100 * time.Millisecond
)

// enter types text. It returns an error that says how much of it was typed where the
// shell does not take it all in time.
func (s *session) enter(text []byte) error {
	begun := time.Now()
	moved := begun
	n := 0
	for n < len(text) {
		k, err := s.press(text[n:])
		if err != nil {
			return s.cut(text, n+k, err)
		}
		if n += k; k > 0 {
			moved = time.Now()
		}
		if n < len(text) && (time.Since(moved) > typingTime || time.Since(begun) > maxTyping) {
			err := fmt.Errorf("shell %q does not read its input", s.id)
			return s.cut(text, n, &api.Error{Kind: api.Timeout, Hint: "read its output, or send INT", Err: err})
		}
	}
	return nil
}

// cut adds to an error how much was typed.
func (s *session) cut(text []byte, n int, err error) error {
	if n == 0 {
		return err
	}
	return &api.Error{
		Kind: api.KindOf(err),
		Err:  fmt.Errorf("%w: %d of %d characters were typed", err, utf8.RuneCount(text[:n]), utf8.RuneCount(text)),
	}
}

// press types what the terminal takes of text within keyTime, which may be nothing. An
// error says that the shell has ended.
func (s *session) press(text []byte) (n int, err error) {
	turn := time.NewTimer(keyTime)
	defer turn.Stop()
	select {
	case s.typed <- struct{}{}:
	case <-s.done:
		return 0, s.notRunning()
	case <-turn.C: // somebody else types
		return 0, nil
	}
	defer func() { <-s.typed }()
	if err := s.p.stdin.SetWriteDeadline(time.Now().Add(keyTime)); err != nil {
		return 0, s.notRunning()
	}
	n, err = s.p.stdin.Write(text)
	if err != nil && !os.IsTimeout(err) {
		return n, s.notRunning()
	}
	return n, nil
}
