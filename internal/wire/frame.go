package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// MaxFrame is the longest payload of a frame, in bytes.
const MaxFrame = 1 << 20

// FrameType says what a frame's payload is.
type FrameType byte

// The frames of a streaming exec. Numbers on the wire are the letters themselves.
const (
	FrameStdin  FrameType = 'i' // to the guest: bytes; an empty one is end of file
	FrameSignal FrameType = 's' // to the guest: JSON Signal
	FrameStdout FrameType = 'o' // to the host: bytes
	FrameStderr FrameType = 'e' // to the host: bytes
	FrameExit   FrameType = 'x' // to the host: JSON, the last frame
	FrameFail   FrameType = 'f' // to the host: JSON Failure instead of an exit, the last frame
	FrameHead   FrameType = 'h' // from a supervisor to its client: JSON, before the bytes that it is about
)

// Frame is one message of a stream: a type byte, four bytes of length in network
// order, and the payload.
type Frame struct {
	Type    FrameType
	Payload []byte
}

// WriteFrame writes one frame with a single Write, so that frames of several
// goroutines do not mix where w serialises its writes.
func WriteFrame(w io.Writer, t FrameType, payload []byte) error {
	if len(payload) > MaxFrame {
		return fmt.Errorf("frame %q of %d bytes, allowed are %d", byte(t), len(payload), MaxFrame)
	}
	buf := frames.Get().(*[]byte)
	defer frames.Put(buf)
	*buf = append((*buf)[:0], byte(t))
	*buf = binary.BigEndian.AppendUint32(*buf, uint32(len(payload)))
	*buf = append(*buf, payload...)
	_, err := w.Write(*buf)
	return err
}

// frames are buffers to put a head and its payload together in: a stream of output
// would otherwise be as much garbage again.
var frames = sync.Pool{New: func() any { return new([]byte) }}

// ReadFrame reads one frame into buf, which it grows to at most MaxFrame; the
// payload is valid until the next call with the same buf. At the end of the stream
// it returns io.EOF, in the middle of a frame io.ErrUnexpectedEOF, and ErrProtocol
// for a frame that announces more than MaxFrame.
func ReadFrame(r io.Reader, buf *[]byte) (Frame, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Frame{}, err // io.EOF where there is no frame
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > MaxFrame {
		return Frame{}, fmt.Errorf("%w: frame %q announces %d bytes, allowed are %d", ErrProtocol, head[0], size, MaxFrame)
	}
	if cap(*buf) < int(size) {
		*buf = make([]byte, size)
	}
	payload := (*buf)[:size]
	if _, err := io.ReadFull(r, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, fmt.Errorf("frame %q of %d bytes: %w", head[0], size, err)
	}
	return Frame{Type: FrameType(head[0]), Payload: payload}, nil
}
