package agent

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// pushAhead is how much of an archive is received before it is worked on, in bytes. In
// a sandbox two threads at work at once make the system calls of both slow, so
// receiving and unpacking take turns.
const pushAhead = 4 << 20

// payload is what comes in frames after the request of a tree: its Read returns the
// bytes of the data frames, and io.EOF after the last frame only.
type payload struct {
	conn  net.Conn
	r     *bufio.Reader
	ahead int // bytes to receive before the first is handed out; 0: a frame
	buf   []byte
	batch []byte
	rest  []byte // of batch, that nobody has read
	end   error  // what Read returns when rest is used up; nil: there is more
}

// Read implements io.Reader.
func (p *payload) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		p.batch = p.batch[:0]
		for p.end == nil && (len(p.batch) == 0 || len(p.batch) < p.ahead) {
			var data []byte
			data, p.end = p.next()
			p.batch = append(p.batch, data...)
		}
		p.rest = p.batch
		if len(p.rest) == 0 {
			return 0, p.end
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// fault is why the host's bytes are not all there, or nil. Errors of whoever reads
// them are not as plain.
func (p *payload) fault() error {
	if errors.Is(p.end, io.EOF) {
		return nil
	}
	return p.end
}

func (p *payload) next() ([]byte, error) {
	err := p.conn.SetReadDeadline(time.Now().Add(bodyTimeout))
	var f wire.Frame
	if err == nil {
		f, err = wire.ReadFrame(p.r, &p.buf)
	}
	switch {
	case errors.Is(err, wire.ErrProtocol):
		return nil, &api.Error{Kind: api.Invalid, Err: err}
	case errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return nil, &api.Error{Kind: api.Timeout, Err: fmt.Errorf("nothing more of the tree came within %v", bodyTimeout)}
	case err != nil:
		return nil, &api.Error{Kind: api.Canceled, Err: errors.New("the connection ended before the tree")}
	}
	switch {
	case f.Type == wire.FrameData:
		return f.Payload, nil
	case f.Type == wire.FrameEnd && len(f.Payload) == 0:
		return nil, io.EOF
	case f.Type == wire.FrameFail:
		var why wire.Failure
		_ = json.Unmarshal(f.Payload, &why) // without a text it is a failure, too
		return nil, &api.Error{Kind: api.Canceled, Err: fmt.Errorf("the host gave up: %s", why.Error)}
	}
	return nil, invalid("a frame %q of %d bytes is no part of a tree", byte(f.Type), len(f.Payload))
}

// answerTree writes the reply to a request whose frames were perhaps not all read.
func answerTree(conn net.Conn, reply any, err error) {
	if err != nil {
		reply = wire.FailureOf(err)
	}
	if wire.Reply(patient{conn}, reply) == nil {
		hangUp(conn)
	}
}
