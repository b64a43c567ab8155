package wire

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// FrameDone is, to the host, the last frame of a fetch: the reply as JSON, after the
// FrameData that hold what was asked for. FrameFail comes in its place where that
// cannot be had, or not to its end.
const FrameDone FrameType = 'x'

const (
	// maxFetch bounds the time of most fetches, whatever the agent sends meanwhile.
	maxFetch = time.Hour

	// slowestWalk is how long a fetch may take more for each thing that it tells.
	slowestWalk = time.Millisecond
)

// fetching is an exchange whose answer comes in frames and is handed on as it comes.
type fetching struct {
	exchange
	fill func(io.Writer) error // writes what follows the request; nil: nothing follows
	take func(p []byte) (time.Duration, error)

	grace time.Duration // that the whole may take, beside the timeout
	most  time.Duration // that the whole may ever take; 0: maxFetch
}

// handed marks an error of whoever takes what was fetched.
type handed struct{ err error }

func (h handed) Error() string { return h.err.Error() }

// fetch does one exchange. take gets the payload of every FrameData, valid until it
// returns, and tells how much longer the whole may take because of it; an error of it
// ends the exchange, and is returned as it is if it is handed. The last frame is
// decoded into f.into.
func (c *Client) fetch(ctx context.Context, f fetching) error {
	line, err := f.encode()
	if err != nil {
		return err
	}
	l, err := c.open(ctx, f.exchange)
	if err != nil {
		return err
	}
	defer l.close()
	p := &pacer{link: l, end: l.end.Add(f.grace), most: time.Now().Add(cmp.Or(f.most, maxFetch))}
	p.moved(0)
	sent := make(chan error, 1)
	go func() { sent <- p.send(line, f.fill) }() // ends with fill, or when the connection is closed
	readErr := f.receive(bufio.NewReaderSize(l.conn, maxPiece), p)
	l.close()
	sendErr := <-sent
	var taker handed
	var fault *sourceError
	switch {
	case errors.As(readErr, &taker):
		return taker.err
	case errors.As(sendErr, &fault):
		return l.outcome(f.exchange, nil, nil, sendErr)
	case readErr != nil:
		return l.failed(readErr)
	case sendErr != nil:
		return l.failed(fmt.Errorf("%w: answered before all that was asked was there: %w", ErrProtocol, sendErr))
	}
	return nil
}

// receive reads frames to the last one.
func (f *fetching) receive(r *bufio.Reader, p *pacer) error {
	if first, err := r.Peek(1); err == nil && first[0] == '{' {
		return replyInstead(r)
	}
	var buf []byte
	for {
		frame, err := ReadFrame(r, &buf)
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the agent is gone: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return fmt.Errorf("read answer: %w", err)
		}
		switch frame.Type {
		case FrameData:
			more, err := f.take(frame.Payload)
			if err != nil {
				return err
			}
			p.moved(more)
		case FrameDone:
			if len(frame.Payload) > f.limit {
				return violated(fmt.Errorf("is longer than %d bytes", f.limit))
			}
			return decodeReply(frame.Payload, f.into)
		case FrameFail:
			return frame.Failure()
		default:
			return fmt.Errorf("%w: frame %q from the agent", ErrProtocol, byte(frame.Type))
		}
	}
}

// replyInstead reads the line of an agent that sends no frames. It is never nil.
func replyInstead(r *bufio.Reader) error {
	line, err := ReadLine(r, MaxShortLine)
	if err == nil {
		err = decodeReply(line, &struct{}{})
	}
	if err == nil {
		err = violated(errors.New("is a line, frames were asked for"))
	}
	return err
}

// pacer sets the deadlines of a fetch, in which both directions may be under way: what
// moves in one gives time to the other.
type pacer struct {
	link *link
	mu   sync.Mutex
	end  time.Time
	most time.Time // that end may become
}

// moved notes progress, and that the whole may take longer.
func (p *pacer) moved(longer time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end = p.end.Add(longer); p.end.After(p.most) {
		p.end = p.most
	}
	p.link.end = p.end
	p.link.pace()
}

func (p *pacer) send(line []byte, fill func(io.Writer) error) error {
	_, err := p.link.conn.Write(line)
	if err == nil && fill != nil {
		w := &framed{pacer: p}
		if err = fill(w); err != nil && w.err == nil {
			p.link.close()
			return &sourceError{fmt.Errorf("read what is to be sent: %w", err)}
		}
		if err == nil {
			p.moved(0)
			err = WriteFrame(p.link.conn, FrameEnd, nil)
		}
	}
	if err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	p.moved(0)
	return nil
}

// framed puts what is written to it into frames.
type framed struct {
	pacer *pacer
	err   error // of the connection
}

// Write implements io.Writer.
func (w *framed) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		piece := p[:min(len(p), pieceSize)]
		if w.err = WriteFrame(w.pacer.link.conn, FrameData, piece); w.err == nil {
			w.pacer.moved(time.Duration(len(piece)) * time.Second / slowestRate)
			n, p = n+len(piece), p[len(piece):]
		}
	}
	return n, w.err
}
