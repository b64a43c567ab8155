package supervisor

import (
	"github.com/pyro-sandbox/pyro/internal/redact"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// hidden is a sink that takes the values of secrets out of what it passes on.
type hidden struct {
	to             sink
	stdout, stderr *redact.Stream
	buf            []byte
}

// hide puts a hidden before a sink.
func (s *supervisor) hide(to sink) *hidden {
	set := s.secrets.known()
	return &hidden{to: to, stdout: redact.NewStream(set), stderr: redact.NewStream(set)}
}

func (h *hidden) stream(t wire.FrameType) *redact.Stream {
	if t == wire.FrameStdout {
		return h.stdout
	}
	return h.stderr
}

func (h *hidden) output(t wire.FrameType, p []byte) error {
	h.buf = h.stream(t).Append(h.buf[:0], p)
	return h.pass(t)
}

// flush passes on what is held back. It is called at the end.
func (h *hidden) flush() error {
	for _, t := range []wire.FrameType{wire.FrameStdout, wire.FrameStderr} {
		h.buf = h.stream(t).Flush(h.buf[:0])
		if err := h.pass(t); err != nil {
			return err
		}
	}
	return nil
}

func (h *hidden) pass(t wire.FrameType) error {
	for rest := h.buf; len(rest) > 0; { // a token is longer than what it stands for
		piece := rest[:min(len(rest), wire.MaxFrame)]
		if err := h.to.output(t, piece); err != nil {
			return err
		}
		rest = rest[len(piece):]
	}
	return nil
}

// redact takes the values of secrets out of a text.
func (s *supervisor) redact(text string) string { return s.secrets.known().Replace(text) }
