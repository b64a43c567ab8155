package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const opChanges = "apply changes of workspace"

// serveChanges streams what is not as it was seeded, with what files hold: unlike a diff
// it is for no reader, so nothing is redacted and nothing left out. The answer is frames:
// for each difference an api.TreeChange, its content as stdout and, unless bases=false says
// that nobody asks, what there was before as stderr; then api.ChangesEnd or a failure.
func (s *supervisor) serveChanges(w http.ResponseWriter, r *http.Request) {
	bases := r.URL.Query().Get("bases") != "false"
	pour(w, r, func(ctx context.Context, conn net.Conn) {
		out := &changeStream{s: s, conn: conn, buf: make([]byte, 256<<10)}
		if err := s.diff(ctx, api.DiffRequest{Against: api.DiffBaseline, NoPatch: !bases}, out); err != nil {
			s.sendFailure(conn, api.About(opChanges, s.ID, err))
			return
		}
		send(conn, wire.FrameExit, out.end)
	})
}

// changeStream implements differences.
type changeStream struct {
	s    *supervisor
	conn net.Conn
	buf  []byte
	end  api.ChangesEnd
}

// begin implements differences. What was sent cannot be taken back.
func (c *changeStream) begin(api.DiffRequest) bool {
	c.end.Warnings = []string{}
	return c.end.Count == 0
}

// longest implements differences.
func (c *changeStream) longest() int64 { return math.MaxInt64 }

// take implements differences.
func (c *changeStream) take(path string, old, now *side) error {
	change := api.TreeChange{
		Path: []byte(path), Old: treeSide(old), New: treeSide(now), Why: now.why,
		Content: now.kind == archive.KindFile && now.content != nil, Base: old.kind == archive.KindFile && old.content != nil,
	}
	payload, err := json.Marshal(change)
	if err != nil {
		return err
	}
	c.end.Count++
	if err := c.write(wire.FrameHead, payload); err != nil {
		return err
	}
	if change.Content {
		if err := c.content(wire.FrameStdout, now); err != nil {
			return err
		}
	}
	if change.Base {
		return c.content(wire.FrameStderr, old)
	}
	return nil
}

func treeSide(d *side) *api.TreeSide {
	if !d.exists() {
		return nil
	}
	side := &api.TreeSide{Kind: string(d.kind), Mode: int(d.mode), Target: []byte(d.target)}
	if d.kind == archive.KindFile {
		side.Size, side.SHA256 = d.size, d.digest[:]
	}
	return side
}

// content sends all that a file holds.
func (c *changeStream) content(t wire.FrameType, d *side) error {
	for at := int64(0); at < d.size; {
		n, err := d.content.ReadAt(c.buf[:min(int64(len(c.buf)), d.size-at)], at)
		if n == 0 {
			return errors.Join(err, io.ErrUnexpectedEOF)
		}
		if err := c.write(t, c.buf[:n]); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

func (c *changeStream) write(t wire.FrameType, payload []byte) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(frameTime))
	if err := wire.WriteFrame(c.conn, t, payload); err != nil {
		return errClientLeft
	}
	return nil
}

// close implements differences.
func (c *changeStream) close(specials []string) error {
	c.end.Warnings = c.s.warnSpecials(specials)
	return nil
}
