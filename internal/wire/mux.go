package wire

import (
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
