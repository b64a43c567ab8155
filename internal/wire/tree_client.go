package wire

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

const (
	// pieceSize is how much of a tree goes into one frame.
	pieceSize = 256 << 10

	// mergeRate is how fast, in bytes of the archive a second, an agent must at least
	// put a tree in place that has been sent. A member has 512 bytes or more.
	mergeRate = 1 << 20
	maxMerge  = time.Hour // however much was sent

	// maxNeeded is the longest CompareReply.
	maxNeeded = MaxShortLine + (MaxTreeEntries/8/3+1)*4
)

// PushTree puts the members of tree, an uncompressed pax archive, in place at
// destination. An error of tree ends the call, and nothing changes in the guest; nor
// does it after an error of the agent that says so. After any other error, of the
// connection or of ctx, the tree may be in place or not.
//
// It returns after the last Read of tree, which must not block for long: neither ctx
// nor a deadline ends a Read. Of an error of tree that is an api.Error, or has one in
// its chain, the kind is kept; of others it is Invalid.
func (c *Client) PushTree(ctx context.Context, destination string, tree io.Reader) (PushReply, error) {
	reply := PushReply{Destination: destination}
	if err := checkText(ActionPush, destination); err != nil {
		return reply, err
	}
	err := c.sendTree(ctx, exchange{
		op: ActionPush, request: PushRequest{Action: ActionPush, Destination: destination},
		into: &reply, limit: MaxShortLine, timeout: archiveTimeout,
	}, func(w io.Writer) error {
		// The bare types keep CopyBuffer from using other methods of them.
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{tree}, make([]byte, pieceSize))
		return err
	})
	return reply, err
}

// CompareTree asks which entries have to be sent to destination, and has one value
// for each, in their order. At most MaxTreeEntries are allowed. It returns after the
// last step of entries, of which PushTree says what it says of a Read. Nothing
// changes in the guest.
func (c *Client) CompareTree(ctx context.Context, destination string, entries iter.Seq[TreeEntry]) ([]bool, error) {
	if err := checkText(ActionCompare, destination); err != nil {
		return nil, err
	}
	var reply CompareReply
	count := 0
	err := c.sendTree(ctx, exchange{
		op: ActionCompare, request: CompareRequest{Action: ActionCompare, Destination: destination},
		into: &reply, limit: maxNeeded, timeout: archiveTimeout,
	}, func(w io.Writer) error { return writeEntries(w, entries, &count) })
	if err != nil {
		return nil, err
	}
	needed, err := reply.bits(count)
	if err != nil {
		return nil, &api.Error{Kind: api.Internal, Op: steps[ActionCompare], Err: violated(err)}
	}
	return needed, nil
}

func writeEntries(w io.Writer, entries iter.Seq[TreeEntry], count *int) error {
	var piece []byte
	for e := range entries {
		if err := e.check(); err != nil {
			return fmt.Errorf("entry of a tree %w", err)
		}
		if *count++; *count > MaxTreeEntries {
			return fmt.Errorf("more than %d entries of a tree", MaxTreeEntries)
		}
		piece = e.append(piece)
		if len(piece) >= pieceSize {
			if _, err := w.Write(piece); err != nil {
				return err
			}
			piece = piece[:0]
		}
	}
	_, err := w.Write(piece)
	return err
}

// append appends the entry as a line of JSON. What check lets pass needs no escapes.
func (e *TreeEntry) append(line []byte) []byte {
	line = append(line, `{"p":"`...)
	line = base64.StdEncoding.AppendEncode(line, e.Path)
	line = fmt.Appendf(line, `","k":"%s","m":%d,"s":%d,"t":%d,"l":`, e.Kind, e.Mode, e.Size, e.MTime)
	if len(e.Target) == 0 {
		return append(line, "null}\n"...)
	}
	line = append(line, '"')
	line = base64.StdEncoding.AppendEncode(line, e.Target)
	return append(line, "\"}\n"...)
}

// sendTree does one exchange in which frames follow the request: those that hold what
// fill writes, and FrameEnd. The reply is read all the time, as an agent that refuses
// does so before the end, and reads no more.
func (c *Client) sendTree(ctx context.Context, x exchange, fill func(io.Writer) error) error {
	line, err := x.encode()
	if err != nil {
		return err
	}
	l, err := c.open(ctx, x)
	if err != nil {
		return err
	}
	defer l.close()
	l.pace() // for the first Read
	sent := make(chan error, 1)
	out := &sender{link: l, left: x.timeout}
	go func() { sent <- out.send(line, fill) }() // ends with fill, or when the connection is closed
	data, readErr := l.readWhileSent(x.limit)
	l.close()
	return l.outcome(x, data, readErr, <-sent)
}

// readWhileSent reads to the end of the connection. The deadline is the sender's: it
// moves as long as the agent takes what is sent, and not for a reply in drops.
func (l *link) readWhileSent(limit int) ([]byte, error) {
	return readBounded(l.conn, limit)
}

// sender writes the frames of one tree. It alone sets the deadlines of its link: of
// every piece, and, as the source may be slow too, of the time that the agent takes.
type sender struct {
	link *link
	left time.Duration // that the agent may still take
	sent int64         // bytes
	err  error         // of the connection
}

// send writes the request, the frames and the last frame. Where fill fails for
// reasons of its own it closes the connection, so that the agent drops what it has.
func (s *sender) send(line []byte, fill func(io.Writer) error) error {
	if _, err := s.link.Write(line); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	err := fill(s)
	switch {
	case s.err != nil:
		return fmt.Errorf("send tree: %w", s.err)
	case err != nil:
		s.link.close()
		return &sourceError{fmt.Errorf("read what is to be sent: %w", err)}
	}
	s.link.idle += min(time.Duration(s.sent/mergeRate)*time.Second, maxMerge)
	s.wait(s.link.idle)
	if err := WriteFrame(s.link, FrameEnd, nil); err != nil {
		return fmt.Errorf("send tree: %w", err)
	}
	return nil
}

// Write implements io.Writer.
func (s *sender) Write(p []byte) (n int, err error) {
	for len(p) > 0 && s.err == nil {
		piece := p[:min(len(p), pieceSize)]
		start := time.Now()
		s.wait(s.left)
		if s.err = WriteFrame(s.link, FrameData, piece); s.err != nil {
			break
		}
		s.left += time.Duration(len(piece))*time.Second/slowestRate - time.Since(start)
		s.wait(s.link.idle) // for the source, and for a reply that comes early
		n, p = n+len(piece), p[len(piece):]
	}
	s.sent += int64(n)
	return n, s.err
}

// wait sets the deadline, which link.Write takes into account.
func (s *sender) wait(d time.Duration) {
	s.link.end = time.Now().Add(d)
	s.link.pace()
}
