package pyro

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// treeBody is the archive in the frames of an answer.
type treeBody struct {
	*connection
	tell    func(entries int, bytes int64)
	head    api.TreeHead
	end     api.TreeEnd
	ended   bool
	buf     []byte
	rest    []byte
	err     error // of the answer
	entries int
	bytes   int64
}

// treePause is how long a supervisor may say nothing: it gives up an agent that does
// before, and reads the list of the seed meanwhile.
const treePause = 3 * time.Minute

// maxSeedHead bounds what is kept of the seed, in entries.
const maxSeedHead = 1_000_000

// begin reads the head of the answer.
func (t *treeBody) begin() error {
	for t.err == nil && len(t.rest) == 0 && !t.ended {
		t.next()
	}
	return t.err
}

// Read implements io.Reader.
func (t *treeBody) Read(p []byte) (int, error) {
	for len(t.rest) == 0 {
		switch {
		case t.err != nil:
			return 0, t.err
		case t.ended:
			return 0, io.EOF
		}
		t.next()
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// next reads one frame.
func (t *treeBody) next() {
	_ = t.conn.SetReadDeadline(time.Now().Add(treePause))
	frame, err := wire.ReadFrame(t.in, &t.buf)
	if err != nil {
		t.err = t.broken(err)
		return
	}
	switch frame.Type {
	case wire.FrameHead:
		var head api.TreeHead
		if err := json.Unmarshal(frame.Payload, &head); err != nil || len(t.head.Seed) > maxSeedHead {
			t.err = api.About(t.op, t.id, fmt.Errorf("head of the tree: %w", errors.Join(err, archive.ErrLimit)))
			return
		}
		t.head = api.TreeHead{ArtifactType: head.ArtifactType, Seed: append(t.head.Seed, head.Seed...)}
	case wire.FrameStdout:
		t.rest = frame.Payload
		t.bytes += int64(len(frame.Payload))
		t.progress()
	case wire.FrameExit:
		end, err := exited[api.TreeEnd](t.op, t.id, frame.Payload)
		if err != nil {
			t.err = err
			return
		}
		t.end, t.ended = *end, true
	case wire.FrameFail:
		t.err = failed(t.op, t.id, frame.Payload)
	}
}

func (t *treeBody) seen(c archive.Counts) {
	t.entries = c.Entries
}

func (t *treeBody) progress() {
	if t.tell != nil {
		t.tell(t.entries, t.bytes)
	}
}

// finished is the error of the whole, after one of whoever read it. What the answer says
// comes first: an archive that was cut off is no fault of its own.
func (t *treeBody) finished(err error) error {
	switch {
	case t.err != nil:
		return t.err
	case err != nil && t.ctx.Err() != nil:
		return ended(t.ctx, t.op, t.id)
	case err != nil:
		return err
	case t.head.ArtifactType != t.end.ArtifactType:
		return &api.Error{
			Kind: api.Conflict, Op: t.op, ID: t.id, Hint: "try again",
			Err: fmt.Errorf("it was a %s and became a %s meanwhile", t.head.ArtifactType, t.end.ArtifactType),
		}
	}
	return nil
}

func (t *treeBody) close() {
	t.stop()
	_ = t.conn.Close()
}
