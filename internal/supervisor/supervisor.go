// Package supervisor is the host process of one running workspace.
//
// It is started by a client with one end of a socketpair as descriptor 3, reads
// what is wanted from it, makes the sandbox, and answers once. From then on it
// holds the workspace's lock, is the only writer of its record, and serves the
// HTTP API on control.sock and the bridge to the agent on agent.sock, until the
// workspace is stopped or deleted, expires, loses its sandbox, or, with a lease,
// until the client goes away. What a supervisor leaves when it is killed is freed
// from the ledger by whoever comes next.
//
// It knows engines only through their contract, and neither images nor command
// lines.
package supervisor

import (
	"bufio"
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/journal"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// The sockets of a running workspace, in its run directory.
const (
	ControlSocket = store.ControlSocket
	AgentSocket   = store.AgentSocket
)

// Config is what a supervisor needs to know.
type Config struct {
	ID      string
	Client  net.Conn // descriptor 3; Run closes it
	Store   *store.Store
	Engines []engine.Engine // in order of preference
	Agent   string          // path of the static agent
	Policy  api.Policy
	Version string
	Now     func() time.Time

	// SaveEvery is how often the disk is saved while something is done in the
	// workspace; 0: only on the way down.
	SaveEvery time.Duration

	// Settle is called with the workspace's directory when the client has its
	// answer, and from then on nobody looks at this process's output; may be nil.
	Settle func(dir string) error
}

// supervisor is a running workspace.
type supervisor struct {
	Config
	kind    workspace.Kind
	held    *store.Workspace
	boxes   boxes
	scans   scans
	whole   bool             // the agent was started for all of the disk, see scratch.go
	journal *journal.Journal // nil for one-shot runs, which nobody asks afterwards
	events  eventLog

	mu     sync.Mutex
	record workspace.Record // changed by note, written by save
	dirty  bool             // record is newer than what is on disk
	closed bool             // the lock is given up, and with it the right to write
	begun  map[number]bool  // commands that have not ended

	// turn is held for writing from before the disk is saved for a stop until that is
	// decided, and for reading where something begins and where its success is told:
	// what a client was told has happened is in the image.
	turn sync.RWMutex

	services     services
	serviceTimes liveTimes
	secrets      secrets
	shells       sync.Mutex // held while the agent is asked for them and what it says is noted
	shellTimes   liveTimes

	states turns        // one at a time changes snapshots, or goes back to one
	forks  atomic.Int64 // images that were made for forks

	use    use
	saving sync.Mutex // one image at a time
	saved  marks      // what the newest image holds; guarded by saving
	puts   puts       // what is being put in place, so that no image holds half of it

	// expiry strikes when its time is over; update sets it anew.
	expiry *time.Timer

	// end is closed by the first who decides that it is over; why says what is to
	// be done then, and gone is closed when it has been done.
	end     chan struct{}
	endOnce sync.Once
	why     ending
	gone    chan struct{}
	outcome error
}

// Run supervises one workspace to its end. An error before the workspace was ready
// has been told to the client, and nothing of a new workspace is left.
func Run(ctx context.Context, cfg Config) error {
	defer func() { _ = cfg.Client.Close() }()
	in := bufio.NewReaderSize(cfg.Client, 64<<10)
	launch, err := readLaunch(cfg.Client, in)
	if err != nil {
		return errors.Join(err, Refuse(cfg.Client, err))
	}
	s := &supervisor{Config: cfg, kind: launch.Kind, begun: make(map[number]bool), end: make(chan struct{}), gone: make(chan struct{}), states: make(turns, 1)}
	s.services.begun = make(chan struct{}, 1)
	if launch.Look {
		return s.look(ctx)
	}
	server, err := s.start(ctx, launch, in)
	if err != nil {
		return errors.Join(err, Refuse(cfg.Client, err))
	}
	return s.live(ctx, launch, server)
}

// Refuse tells the client why there will be no workspace.
func Refuse(client net.Conn, why error) error {
	reply := api.ReplyTo(why)
	_, held := errors.AsType[heldError](why)
	return answer(client, workspace.Launched{Error: &reply, Held: held})
}

func (s *supervisor) path(name string) string { return filepath.Join(s.Store.RunDir(s.ID), name) }
