package redact

import (
	"io"

	"github.com/pyro-sandbox/pyro/api"
)

// Stream redacts text that comes in pieces. However it is cut, what comes out is the
// same: the end of a piece that may be the beginning of a value is held back until more
// has come, or Flush. Values that overlap become one token together, and bytes that
// belong to none come out unchanged.
//
// A stream is not for several goroutines at once.
type Stream struct {
	set     *Set
	held    []byte // not decided: what begins with its first byte may be a value
	covered int    // of held, the bytes of a value whose token is out
	out     int    // of held, the bytes that Release let out
}

// NewStream returns a stream that looks for the values of set.
func NewStream(set *Set) *Stream { return &Stream{set: set} }

// Use makes the stream look for other values from what is held back on.
func (s *Stream) Use(set *Set) { s.set = set }

// Held is how many bytes are held back and were not let out.
func (s *Stream) Held() int { return len(s.held) - max(s.covered, s.out) }

// Append takes the next piece, which it does not keep, and appends to dst what can be
// told by now.
func (s *Stream) Append(dst, piece []byte) []byte {
	if len(s.held) == 0 && s.set.Empty() {
		return append(dst, piece...)
	}
	if len(s.held) > 0 {
		s.held = append(s.held, piece...)
		return s.decide(dst, s.held, false)
	}
	return s.decide(dst, piece, false)
}

// Flush appends what is held back: the stream is at its end, or begins anew.
func (s *Stream) Flush(dst []byte) []byte { return s.decide(dst, s.held, true) }

// Release appends what is held back if that is less than MinLength bytes, so that a
// person sees a prompt that ends like a value begins. The bytes count all the same: if
// the rest of a value follows, its token does, too.
func (s *Stream) Release(dst []byte) []byte {
	if from := max(s.covered, s.out); len(s.held) < MinLength && from < len(s.held) {
		dst = append(dst, s.held[from:]...)
		s.out = len(s.held)
	}
	return dst
}

// decide goes through text, which begins with what is held, and keeps what is left of it.
func (s *Stream) decide(dst, text []byte, final bool) []byte {
	set := s.set
	if set == nil {
		set = new(Set)
	}
	from, i := 0, 0
	for ; i < len(text); i++ {
		if !set.mayBegin(text[i:]) {
			continue
		}
		n, more := set.at(text[i:])
		if more && !final {
			break
		}
		if n > 0 {
			dst = s.emit(dst, text, from, i)
			if from = i; i >= s.covered {
				dst = append(dst, api.RedactedText...)
			}
			s.covered = max(s.covered, i+n)
		}
	}
	dst = s.emit(dst, text, from, i)
	s.held = append(s.held[:0], text[i:]...)
	s.covered, s.out = max(s.covered-i, 0), max(s.out-i, 0)
	return dst
}

// emit appends what of text[from:to] is neither part of a value nor out already.
func (s *Stream) emit(dst, text []byte, from, to int) []byte {
	from = max(from, s.covered, s.out)
	if from < to {
		dst = append(dst, text[from:to]...)
	}
	return dst
}

// Writer redacts what is written to it and passes it on. It is not for several
// goroutines at once.
type Writer struct {
	to     io.Writer
	stream *Stream
	buf    []byte
}

// NewWriter returns a writer to w. The caller calls Flush at the end.
func NewWriter(w io.Writer, set *Set) *Writer { return &Writer{to: w, stream: NewStream(set)} }

// Write implements io.Writer. All of p counts as written when what could be told was
// passed on; the rest is held back.
func (w *Writer) Write(p []byte) (int, error) {
	w.buf = w.stream.Append(w.buf[:0], p)
	if err := w.pass(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush passes on what is held back. Text may follow.
func (w *Writer) Flush() error {
	w.buf = w.stream.Flush(w.buf[:0])
	return w.pass()
}

func (w *Writer) pass() error {
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.to.Write(w.buf)
	return err
}
