package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"time"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

const (
	// fullPiece is how many bytes go into one frame of a fetch: with its head as many as
	// patient writes at once.
	fullPiece = 64<<10 - 5

	// signOfLife is how long the host gets nothing, while a long file is read.
	signOfLife = 5 * time.Second
)

// outflow is the answer of a fetch on its way to the host.
type outflow struct {
	conn  net.Conn
	piece []byte // of a Write, that was not sent
	last  time.Time
}

// send writes one frame of data.
func (o *outflow) send(p []byte) error {
	o.last = time.Now()
	return wire.WriteFrame(patient{o.conn}, wire.FrameData, p)
}

// Write implements io.Writer. What is written is sent in full pieces, and by flush.
func (o *outflow) Write(p []byte) (n int, err error) {
	for n < len(p) {
		if len(o.piece) == 0 && len(p)-n >= fullPiece {
			if err := o.send(p[n : n+fullPiece]); err != nil {
				return n, err
			}
			n += fullPiece
			continue
		}
		k := min(len(p)-n, fullPiece-len(o.piece))
		o.piece = append(o.piece, p[n:n+k]...)
		n += k
		if len(o.piece) == fullPiece {
			if err := o.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (o *outflow) flush() error {
	if len(o.piece) == 0 {
		return nil
	}
	err := o.send(o.piece)
	o.piece = o.piece[:0]
	return err
}

// handleTree does a request on the tree whose answer is no line, or that frames follow,
// and tells whether req is one.
func (a *agent) handleTree(ctx context.Context, conn net.Conn, r *bufio.Reader, req wire.Request) bool {
	out := &outflow{conn: conn, last: time.Now()}
	switch req := req.(type) {
	case *wire.WalkRequest:
		out.end(a.walk(ctx, out, req))
	case *wire.HashRequest:
		out.end(a.hash(ctx, out, r, req))
	case *wire.PullRequest:
		out.end(a.pull(ctx, out, r, req))
	case *wire.ReadRangeRequest:
		out.end(a.readRange(ctx, out, req))
	case *wire.PutRequest:
		reply, err := a.putFile(conn, r, req)
		answerTree(conn, reply, err)
	case *wire.PatchRequest:
		reply, err := a.applyPatch(ctx, conn, r, req)
		answerTree(conn, reply, err)
	default:
		return false
	}
	return true
}

// end writes the last frame. What the host still sends is taken for a moment, see
// hangUp.
func (o *outflow) end(reply any, err error) {
	kind := wire.FrameDone
	if err == nil {
		err = o.flush()
	}
	if err != nil {
		kind, reply = wire.FrameFail, wire.FailureOf(fileError(err))
	}
	payload, err := json.Marshal(reply)
	if err == nil && wire.WriteFrame(patient{o.conn}, kind, payload) == nil {
		hangUp(o.conn)
	}
}
