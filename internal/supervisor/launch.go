package supervisor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// launchTime bounds reading the one line of the client and writing the answer. Both
// are short and the client is a process of ours.
const launchTime = 10 * time.Second

// maxLaunch bounds that line, in bytes: with all secrets there may be, each byte escaped
// at the worst.
const maxLaunch = 1<<20 + 6*api.MaxSecrets*api.MaxSecretBytes

// readLaunch reads what the client wants. More may follow on in.
func readLaunch(c net.Conn, in *bufio.Reader) (workspace.Launch, error) {
	var launch workspace.Launch
	if err := c.SetReadDeadline(time.Now().Add(launchTime)); err != nil {
		return launch, err
	}
	line, err := wire.ReadLine(in, maxLaunch)
	if err != nil {
		return launch, fmt.Errorf("reading the launch request: %w", err)
	}
	if err := json.Unmarshal(line, &launch); err != nil {
		return launch, fmt.Errorf("launch request: %w", err)
	}
	switch {
	case launch.Kind == workspace.KindRun, launch.Kind == workspace.KindWorkspace:
	case launch.Kind == workspace.KindVM && launch.Start != nil: // its record is made by who asks for it
	default:
		return launch, fmt.Errorf("launch request: unknown kind %q", launch.Kind)
	}
	return launch, c.SetReadDeadline(time.Time{})
}

// answer writes the supervisor's one line.
func answer(c net.Conn, launched workspace.Launched) error {
	line, err := json.Marshal(launched)
	if err != nil {
		return err
	}
	if err := c.SetWriteDeadline(time.Now().Add(launchTime)); err != nil {
		return err
	}
	if _, err := c.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("answering the client: %w", err)
	}
	return nil
}

// hangup watches a connection on which the other side says no more.
type hangup struct {
	conn net.Conn
	done chan struct{}
}

// watchHangup calls gone when the other side closes c, unless Stop comes first.
func watchHangup(c net.Conn, gone func()) hangup {
	h := hangup{conn: c, done: make(chan struct{})}
	go func() { // ends at the hang-up, or with Stop
		defer close(h.done)
		var one [1]byte
		for {
			switch _, err := c.Read(one[:]); {
			case err == nil: // nothing is expected; a newer client may say more
			case wire.IsTimeout(err):
				return
			default:
				gone()
				return
			}
		}
	}()
	return h
}

// Stop ends the watch and leaves the connection usable.
func (h hangup) Stop() {
	_ = h.conn.SetReadDeadline(time.Unix(1, 0))
	<-h.done
	_ = h.conn.SetReadDeadline(time.Time{})
}
