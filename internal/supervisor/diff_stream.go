package supervisor

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/patch"
	"github.com/pyro-sandbox/pyro/internal/redact"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// patchStream sends a diff as a git patch while it is made, in which the values of secrets
// are redacted.
type patchStream struct {
	s      *supervisor
	maker  patch.Maker
	end    api.DiffPatched
	untold untold

	began      bool
	out        *bufio.Writer
	hidden     *redact.Writer
	meant, got hash.Hash // of the patch before and after; nil: there are no secrets
}

func newPatchStream(s *supervisor, conn net.Conn) *patchStream {
	p := &patchStream{s: s}
	known := s.secrets.known()
	to := io.Writer(frameWriter{conn})
	if !known.Empty() {
		p.meant, p.got = sha256.New(), sha256.New()
		to = io.MultiWriter(to, p.got)
	}
	p.hidden = redact.NewWriter(to, known)
	p.out = bufio.NewWriterSize(p.hidden, wire.MaxFrame/2)
	return p
}

// frameWriter sends what is written to it as output.
type frameWriter struct{ conn net.Conn }

// Write implements io.Writer.
func (f frameWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		piece := rest[:min(len(rest), wire.MaxFrame)]
		if wire.WriteFrame(f.conn, wire.FrameStdout, piece) != nil {
			return 0, errClientLeft
		}
		rest = rest[len(piece):]
	}
	return len(p), nil
}

// begin implements differences. What is sent cannot be taken back.
func (p *patchStream) begin(api.DiffRequest) bool {
	p.untold = untold{}
	p.end = api.DiffPatched{WorkspaceID: p.s.ID, Warnings: []string{}}
	return !p.began
}

// longest implements differences.
func (p *patchStream) longest() int64 { return api.MaxPatchFile }

// take implements differences.
func (p *patchStream) take(path string, old, now *side) error {
	if old.unread || now.unread {
		size := max(old.size, now.size)
		return &api.Error{
			Kind: api.Unsupported, Hint: "name other paths, or export it",
			Err: fmt.Errorf("%s has %d bytes, and a patch holds files of at most %d", p.s.redact(strconv.Quote(path)), size, api.MaxPatchFile),
		}
	}
	delta, err := p.maker.Compare(path, old.patch(), now.patch())
	if err != nil {
		return err
	}
	status := statusOf(old, now)
	p.end.Summary.Count(status, hasLines(status, delta))
	switch {
	case delta.Status == patch.Unchanged:
		p.untold.noForm++
		return nil
	case inGit(path, now):
		p.untold.inGit++
		return nil
	}
	p.began = true
	if p.meant == nil {
		return delta.WriteGit(p.out)
	}
	return delta.WriteGit(io.MultiWriter(p.meant, p.out))
}

// close implements differences.
func (p *patchStream) close(specials []string) error {
	if err := errors.Join(p.out.Flush(), p.hidden.Flush()); err != nil {
		return err
	}
	p.end.Redacted = p.meant != nil && !bytes.Equal(p.meant.Sum(nil), p.got.Sum(nil))
	p.end.Warnings = append(p.end.Warnings, p.untold.warnings(p.s, p.end.Redacted, specials)...)
	return nil
}
