package pyro

import (
	"bufio"
	"bytes"
	"net"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// FuzzReceive feeds what a supervisor may send, or what a guest may make it send.
// Whatever it is, there is a result or an error, and no more output than was sent.
func FuzzReceive(f *testing.F) {
	frame := func(t wire.FrameType, payload string) []byte {
		var b bytes.Buffer
		_ = wire.WriteFrame(&b, t, []byte(payload))
		return b.Bytes()
	}
	f.Add([]byte{})
	f.Add(frame(wire.FrameExit, `{"exit_code":3}`))
	f.Add(append(frame(wire.FrameStdout, "out"), frame(wire.FrameExit, `{}`)...))
	f.Add(append(frame(wire.FrameStderr, "err"), frame(wire.FrameFail, `{"error":"e","kind":"?"}`)...))
	f.Add([]byte("o\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		conn, other := net.Pipe() // for its deadlines only
		defer func() { _, _ = conn.Close(), other.Close() }()
		s := &stream{id: testID, control: newControl(testID, ""), conn: conn, in: bufio.NewReader(bytes.NewReader(sent))}
		var out bytes.Buffer
		result, err := s.receive(&out, &out)
		if (result == nil) == (err == nil) {
			t.Errorf("result %v and error %v", result, err)
		}
		if err != nil && api.KindOf(err) == "" {
			t.Errorf("error %v has no kind", err)
		}
		if out.Len() > len(sent) {
			t.Errorf("%d bytes of output out of %d", out.Len(), len(sent))
		}
	})
}
