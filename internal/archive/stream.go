package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	bufferSize = 64 << 10
	copySize   = 256 << 10 // of content that is read at once
	// maxHeader bounds the bytes that describe one member. The extended headers,
	// long names and sparse maps that archive/tar takes are 1 MiB each.
	maxHeader = 4 << 20
	// maxTrailer bounds the zeros after the end mark, which pad to a block of the
	// tape; the largest in use are about 1 MiB.
	maxTrailer = 8 << 20
	// endMark is the length of the zeros that end an archive (POSIX pax, "ustar
	// Interchange Format").
	endMark = 1024
)

// stream reads the members of one archive, and knows what archive/tar does not
// tell: whether the archive was ended or just stopped.
type stream struct {
	meter *meter
	tar   *tar.Reader
}

func newStream(ctx context.Context, r io.Reader, formats Formats, limits Limits) (*stream, error) {
	// Checked below the decompressor too, which may read much before it has a byte.
	in := &meter{stopped: ctx.Err, r: r, left: math.MaxInt64}
	plain, err := decompress(in, formats, limits.Ratio)
	if err != nil {
		return nil, formatError(err)
	}
	m := &meter{stopped: ctx.Err, r: plain}
	return &stream{meter: m, tar: tar.NewReader(m)}, nil
}

// next returns the next member, or io.EOF after a proper end. The body of the
// member before has been read.
func (s *stream) next() (*tar.Header, error) {
	s.meter.count(maxHeader)
	hdr, err := s.tar.Next()
	switch {
	case err == nil:
		s.meter.lift()
		return hdr, nil
	case !errors.Is(err, io.EOF):
		return nil, formatError(err)
	case s.meter.zeros < endMark:
		return nil, formatError(io.ErrUnexpectedEOF)
	}
	if err := s.drain(); err != nil {
		return nil, formatError(err)
	}
	return nil, io.EOF
}

// drain reads what comes after the end mark, so that check sums at the end of
// compressed data are verified and a second archive is not taken for padding.
func (s *stream) drain() error {
	s.meter.count(maxTrailer)
	buf := make([]byte, 4096)
	for {
		n, err := s.meter.Read(buf)
		if s.meter.zeros < int64(n) {
			return errors.New("data after its end")
		}
		s.meter.zeros = 0
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// formatError tells bad bytes from limits and cancellation.
func formatError(err error) error {
	if errors.Is(err, ErrLimit) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}

// meter passes bytes on and stops at a cancelled context or where more bytes come
// than were granted. While it counts it also knows how many zeros came last.
type meter struct {
	stopped  func() error // an error once the work should end
	r        io.Reader
	left     int64
	taken    int64 // bytes in all
	zeros    int64
	counting bool
}

func (m *meter) count(limit int64) { m.left, m.zeros, m.counting = limit, 0, true }

func (m *meter) lift() { m.left, m.counting = math.MaxInt64, false }

func (m *meter) Read(p []byte) (int, error) {
	if err := m.stopped(); err != nil {
		return 0, err
	}
	if m.left == 0 {
		return 0, fmt.Errorf("%w: more bytes around a member than it can need", ErrLimit)
	}
	n, err := m.r.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	m.taken += int64(n)
	if m.counting {
		last := len(bytes.TrimRight(p[:n], "\x00"))
		if last > 0 {
			m.zeros = 0
		}
		m.zeros += int64(n - last)
	}
	return n, err
}
