package supervisor

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// frameTime is how long a client may take for the next piece of a tree.
const frameTime = time.Minute

// seed puts the client's project into the new workspace, and keeps it as the
// baseline while it passes.
func (s *supervisor) seed(ctx context.Context, launch workspace.Launch, in *bufio.Reader) error {
	baseline, err := workspace.NewBaseline(ctx, s.held.Path())
	if err != nil {
		return err
	}
	tree := &frameReader{conn: s.Client, in: in}
	pushed, err := s.agent().PushTree(ctx, launch.Request.Seed.Destination, io.TeeReader(tree, baseline))
	if err != nil || !tree.ended {
		baseline.Abandon()
		if !tree.ended && tree.err != nil {
			return tree.err // it is why the push failed
		}
		return cmp.Or(err, errors.New("the agent says that it has the seed before it was sent"))
	}
	kept, counts, err := baseline.Commit()
	if err != nil {
		return err
	}
	s.note(func(r *workspace.Record) {
		r.Seed, r.Baseline = *launch.Request.Seed, kept
		r.Seed.EntryCount, r.Seed.BytesWritten, r.Seed.SkippedCount = int(pushed.EntryCount), counts.Bytes, tree.seeded.Skipped
		r.Request.Seed = nil
		if r.Seed.SeedPath != nil && r.Seed.Mode == api.SeedDirectory {
			r.Pushed(workspace.Push{Source: *r.Seed.SeedPath, Destination: r.Seed.Destination, At: launch.PackedAt})
		}
	})
	s.scanSeed(ctx)
	return nil
}

// frameReader is the archive in the frames that a client sends.
type frameReader struct {
	conn  net.Conn
	in    *bufio.Reader
	buf   []byte
	rest  []byte
	ended bool // properly
	err   error

	seeded workspace.Seeded // what was said at the end
}

// Read implements io.Reader. It returns io.EOF only after the client has said that
// this was all.
func (f *frameReader) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		if f.err == nil {
			f.err = f.next()
		}
		if f.err != nil {
			if f.ended {
				return 0, io.EOF
			}
			return 0, f.err
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func (f *frameReader) next() error {
	if err := f.conn.SetReadDeadline(time.Now().Add(frameTime)); err != nil {
		return err
	}
	frame, err := wire.ReadFrame(f.in, &f.buf)
	switch {
	case wire.IsTimeout(err):
		return &api.Error{Kind: api.Timeout, Err: errors.New("the client sends no more of the seed")}
	case err != nil:
		return errClientGone
	}
	switch frame.Type {
	case wire.FrameData:
		f.rest = frame.Payload
		return nil
	case wire.FrameEnd:
		if err := json.Unmarshal(frame.Payload, &f.seeded); err != nil {
			return fmt.Errorf("end of the seed: %w", err)
		}
		f.ended = true
		return errors.Join(io.EOF, f.conn.SetReadDeadline(time.Time{}))
	case wire.FrameFail:
		var reply api.ErrorReply
		if err := json.Unmarshal(frame.Payload, &reply); err != nil {
			return fmt.Errorf("seed: %w", err)
		}
		return reply.Err()
	default:
		return fmt.Errorf("seed: unexpected frame %q", byte(frame.Type))
	}
}
