package wire

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

const (
	// maxWindow is how much of one stream may be under way in one direction.
	maxWindow = 1 << 20

	// maxUnaccepted is how many streams may wait for the other end to accept them.
	maxUnaccepted = 512
)

// MuxConfig is how both ends of a control socket set up the multiplexer. A guest may
// be paused for long while nothing is wrong with it, so nothing here judges by time
// whether the other end lives: the end of the file says it.
func MuxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive = false
	c.AcceptBacklog = maxUnaccepted
	c.ConnectionWriteTimeout = 24 * time.Hour
	c.MaxStreamWindowSize = maxWindow
	c.StreamOpenTimeout = 0 // it would end the whole session
	c.StreamCloseTimeout = time.Minute
	c.LogOutput = io.Discard
	return c
}

// The frames of the multiplexer: version, type, flags, stream, length, all in network
// order (https://github.com/hashicorp/yamux/blob/master/spec.md).
const (
	muxTypeData   = 0
	muxTypePing   = 2
	muxTypeGoAway = 3
	muxFlagSYN    = 1
)

// MuxHead is the head of a frame.
type MuxHead [12]byte

func (h *MuxHead) flags() uint16  { return binary.BigEndian.Uint16(h[2:]) }
func (h *MuxHead) length() uint32 { return binary.BigEndian.Uint32(h[8:]) }

// MuxFrames keeps track of where frames of the multiplexer begin.
type MuxFrames struct {
	head MuxHead
	have int    // bytes of head
	body uint32 // bytes to come that are the payload of a frame
}

// AtStart reports whether the next byte begins a frame.
func (f *MuxFrames) AtStart() bool { return f.have == 0 && f.body == 0 }

// Ahead is how many bytes are left of the head or the payload that comes next.
func (f *MuxFrames) Ahead() int {
	if f.body > 0 {
		return int(f.body)
	}
	return len(f.head) - f.have
}

// Follow goes on by the bytes p and asks check about each head in them.
func (f *MuxFrames) Follow(p []byte, check func(*MuxHead) error) error {
	for len(p) > 0 {
		if f.body > 0 {
			n := min(int64(f.body), int64(len(p)))
			f.body -= uint32(n)
			p = p[n:]
			continue
		}
		n := copy(f.head[f.have:], p)
		f.have += n
		p = p[n:]
		if f.have < len(f.head) {
			return nil
		}
		f.have = 0
		if err := check(&f.head); err != nil {
			return err
		}
		if f.head[1] == muxTypeData {
			f.body = f.head.length()
		}
	}
	return nil
}
