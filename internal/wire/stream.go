package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// Stream is a command whose output comes in frames. One goroutine may read while
// others write.
type Stream struct {
	link  *link
	r     *bufio.Reader
	buf   []byte
	state streamState
	watch bool // FrameService may come
	write sync.Mutex
}

// streamState is how far a stream has been read.
type streamState int

const (
	streamNew     streamState = iota // nothing came yet
	streamRunning                    // at least one frame came
	streamOver                       // the last frame came, or an error
)

// Stream starts a command. It returns when the request is sent; whether it could be
// started stands in the first frame. The caller closes the stream, which kills the
// command if it still runs, as the end of ctx does. Without r.TimeoutMS nothing
// else bounds how long the agent may be silent.
func (c *Client) Stream(ctx context.Context, r StreamRequest) (*Stream, error) {
	r.Action = ActionStream
	if err := checkText(r.Action, append(r.Argv, r.Command, r.Cwd)...); err != nil {
		return nil, err
	}
	s, err := c.frames(ctx, r.Action, r)
	if err == nil && r.TimeoutMS > 0 {
		const most = int64(time.Duration(1<<62) / time.Millisecond)
		end := time.Now().Add(time.Duration(min(r.TimeoutMS, most))*time.Millisecond + execMargin)
		_ = s.link.conn.SetDeadline(end)
	}
	return s, err
}

// frames sends a request whose answer is frames. The agent may be silent as long as it
// likes, until ctx ends.
func (c *Client) frames(ctx context.Context, op string, request any) (*Stream, error) {
	x := exchange{op: op, request: request, timeout: usualTimeout}
	line, err := x.encode()
	if err != nil {
		return nil, err
	}
	l, err := c.open(ctx, x)
	if err != nil {
		return nil, err
	}
	if err := l.send(x, line); err != nil {
		return nil, l.failed(err)
	}
	_ = l.conn.SetDeadline(time.Time{}) // see link.pace
	return &Stream{link: l, r: bufio.NewReaderSize(l.conn, maxPiece)}, nil
}

// maxPiece is how much of a stream is read at once.
const maxPiece = 64 << 10

// ReadFrame returns the next frame: FrameStdout, FrameStderr and at last FrameExit
// or FrameFail, after which it returns io.EOF whatever the agent sends. The payload
// is valid until the next call. An agent that does not know streams, or could not
// read the request, has its reply returned as an error.
func (s *Stream) ReadFrame() (Frame, error) {
	if s.state == streamOver {
		return Frame{}, io.EOF
	}
	f, err := s.next()
	switch {
	case err != nil:
		s.state = streamOver
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the agent is gone: %w", io.ErrUnexpectedEOF)
		}
		return Frame{}, s.link.failed(err)
	case f.Type == FrameExit, f.Type == FrameFail:
		s.state = streamOver
	default:
		s.state = streamRunning
	}
	return f, nil
}

func (s *Stream) next() (Frame, error) {
	if s.state == streamNew {
		if first, err := s.r.Peek(1); err == nil && first[0] == '{' {
			return Frame{}, s.reply()
		}
	}
	f, err := ReadFrame(s.r, &s.buf)
	if err != nil {
		return Frame{}, err
	}
	switch f.Type {
	case FrameStdout, FrameStderr, FrameExit, FrameFail:
		return f, nil
	case FrameService:
		if s.watch {
			return f, nil
		}
	}
	return Frame{}, fmt.Errorf("%w: frame %q from the agent", ErrProtocol, byte(f.Type))
}

// reply reads the answer of an agent that does not stream. It is never nil.
func (s *Stream) reply() error {
	line, err := ReadLine(s.r, MaxShortLine)
	if err != nil {
		return violated(err)
	}
	if err := decodeReply(line, &struct{}{}); err != nil {
		return err
	}
	return &api.Error{Kind: api.Unsupported, Op: steps[ActionStream], Err: errors.New("the agent does not stream")}
}

// WriteFrame sends a FrameStdin or FrameSignal. It may be called from several
// goroutines, and blocks while the command does not read; Close ends that.
func (s *Stream) WriteFrame(t FrameType, payload []byte) error {
	s.write.Lock()
	defer s.write.Unlock()
	if err := WriteFrame(s.link.conn, t, payload); err != nil {
		return &api.Error{Kind: causeOf(s.link.ctx, err), Op: steps[ActionStream], Err: err}
	}
	return nil
}

// Close ends the connection. It may be called at any time and more than once.
func (s *Stream) Close() error {
	s.link.close()
	return nil
}

// Exit decodes the payload of a FrameExit.
func (f Frame) Exit() (Exit, error) {
	exit := Exit{Code: noCode}
	if f.Type != FrameExit {
		return exit, fmt.Errorf("%w: frame %q is no exit", ErrProtocol, byte(f.Type))
	}
	err := decodeReply(f.Payload, &exit)
	return exit, err
}

// Failure decodes the payload of a FrameFail into the error that it is.
func (f Frame) Failure() error {
	if f.Type != FrameFail {
		return fmt.Errorf("%w: frame %q is no failure", ErrProtocol, byte(f.Type))
	}
	if err := decodeReply(f.Payload, &struct{}{}); err != nil {
		return err
	}
	return violated(errors.New("is a JSON object without the error that it announces"))
}
