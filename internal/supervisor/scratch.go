package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// A scratch sandbox is started from the disk of a stopped workspace to be asked what is
// on it, by our agent alone: no network, no secrets, and no program of the guest is run.
// It has the workspace's lock, so that nobody starts or changes the workspace meanwhile;
// it never writes the record; and it ends with the client that asked for it.

// scratchTime is the longest that somebody may look.
const scratchTime = 24 * time.Hour

// scratchMemMiB is enough for the agent.
const scratchMemMiB = 512

// look serves a client that wants to see the disk of a stopped workspace, until it hangs
// up. An error before it could see anything has been told.
func (s *supervisor) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, scratchTime)
	defer cancel()
	gone := watchHangup(s.Client, cancel)
	defer gone.Stop()
	err := s.hold(ctx)
	if err != nil {
		return errors.Join(err, Refuse(s.Client, err))
	}
	defer s.close()
	err = s.lookHeld(ctx)
	s.finish(ending{reason: workspace.ReasonStopped})
	cleanup, cancelCleanup := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancelCleanup()
	return errors.Join(err, s.endSandboxes(cleanup), s.held.Reap(cleanup))
}

// lookHeld does it for one whose lock is held.
func (s *supervisor) lookHeld(ctx context.Context) error {
	server, err := s.startScratch(ctx)
	if err != nil {
		err = api.About("look at disk of workspace", s.ID, err)
		return errors.Join(err, Refuse(s.Client, err))
	}
	fault.Hit("scratch-started")
	serving := make(chan error, 1)
	go func() { serving <- server.serve() }() // ends with server.close
	view := s.recorded()
	err = answer(s.Client, workspace.Launched{Workspace: view.View(""), ControlSocket: s.path(store.DiskSocket), Hello: s.hello()})
	if err == nil {
		_, _ = s.box().Wait(ctx) // until the client is gone, or the sandbox is
	}
	server.close()
	return errors.Join(err, <-serving)
}

// startScratch starts the sandbox and its socket.
func (s *supervisor) startScratch(ctx context.Context) (*scratchServer, error) {
	if err := s.reserve(); err != nil {
		return nil, err
	}
	engines, err := s.choose(s.record.Engine.Name, true)
	if err != nil {
		return nil, err
	}
	if !isolates(engines[0]) {
		return nil, &api.Error{
			Kind: api.Unsupported, Hint: "start it, and use `pyro workspace file`",
			Err: fmt.Errorf("engine %s has no disk to look at", engines[0].Info().Name),
		}
	}
	s.whole = true
	s.record.Request.MemMiB = min(s.record.Request.MemMiB, scratchMemMiB)
	if err := s.bringBack(ctx, engines[0], s.record.Disk); err != nil {
		return nil, err
	}
	control, err := listenUnix(s.path(store.DiskSocket))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	s.routeDisk(mux)
	return &scratchServer{control: control, http: &http.Server{
		Handler: mux, ReadHeaderTimeout: bodyTime, MaxHeaderBytes: 1 << 16, ErrorLog: silence,
	}}, nil
}

// scratchServer is the one socket of a scratch sandbox.
type scratchServer struct {
	control net.Listener
	http    *http.Server
}

// serve returns after close.
func (v *scratchServer) serve() error {
	if err := v.http.Serve(v.control); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (v *scratchServer) close() { _ = v.http.Close() }
