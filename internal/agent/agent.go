// Package agent is the program inside a sandbox: it runs commands, moves files and
// answers for the guest on the connections that the host opens. As PID 1 it also
// reaps what nobody else waits for, and keeps the guest under its memory limit.
//
// It decides nothing about policy and keeps no state in a connection, so that the
// host may drop and reopen connections at any time, also after the memory of the
// guest was saved and restored. It knows neither engines nor images, and the messages
// themselves are described in internal/wire.
package agent

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/redact"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// maxConnections are served at the same time; one more is answered with an error. A
// published port alone may have a thousand.
const maxConnections = 1536

const (
	// maxRefused bounds the connections beyond maxConnections that are being told
	// so; what comes on top is closed without a word.
	maxRefused = 64

	defaultHeaderTimeout = 30 * time.Second
	bodyTimeout          = 60 * time.Second // without a byte of a body or reply moving
	lingerTimeout        = time.Second      // for a refused peer to hang up
)

// Config says where things lie in the guest. The zero value is right for a sandbox.
type Config struct {
	// Workspace is the directory that the wire calls /workspace. Paths on the wire
	// stay /workspace/…; this is for agents that do not own their machine.
	Workspace string

	// Staging is the directory in which pushed trees are put together, on the file
	// system of Workspace and outside it. It is made when it is needed, must belong to
	// this agent alone, and whatever an earlier agent left in it is removed. The
	// default lies beside Workspace.
	Staging string

	// RunDir is the directory that the wire calls /run; secrets lie in it.
	RunDir string

	// Env is what commands inherit, as in os.Environ. PATH, HOME and LANG have
	// defaults; a request's own variables win.
	Env []string

	// HeaderTimeout is how long a peer may take to send its request; 30 s if zero.
	HeaderTimeout time.Duration

	// MemMiB is the memory that the guest may use before its biggest command is
	// killed; 0 means no watch.
	MemMiB int

	// PIDs is how many processes the guest may have before commands can start no
	// more; 0 means what the agent itself may have.
	PIDs int

	// Init says that this process reaps for the whole guest, as PID 1 does. Then
	// nothing else in the process may wait for children.
	Init bool

	// Shared says that the machine is not the agent's own. Then it becomes the parent of
	// its orphans and reaps them, as Init says, signals nobody but what descends from
	// it, and the commands themselves end with it even where it is killed. MemMiB and
	// PIDs, which are about the whole machine, count as 0.
	Shared bool
}

// agent is what all connections share.
type agent struct {
	cfg      Config
	children *children
	running  registry
	services *services
	sessions sessions
	buffers  sync.Pool // *[]byte of pumpSize
	marks    marks
	prepare  sync.Once
	secrets  sync.Mutex    // held while they are replaced
	hidden   redact.Memory // secrets, in what shells and services print
	merging  chan struct{} // has room for the one push that changes the workspace
}

func newAgent(cfg Config) *agent {
	cfg.Workspace = cmp.Or(cfg.Workspace, wireRoot)
	root := filepath.Clean(cfg.Workspace)
	cfg.Staging = cmp.Or(cfg.Staging, filepath.Join(filepath.Dir(root), stagingName+filepath.Base(root)))
	cfg.RunDir = cmp.Or(cfg.RunDir, "/run")
	cfg.HeaderTimeout = cmp.Or(cfg.HeaderTimeout, defaultHeaderTimeout)
	if cfg.Shared {
		cfg.Init, cfg.MemMiB, cfg.PIDs = true, 0, 0
	}
	return &agent{cfg: cfg, children: newChildren(cfg.Init), services: newServices(), marks: newMarks(), merging: make(chan struct{}, 1)}
}

// Serve answers connections of l, each in its own goroutine, until ctx ends or l
// fails; it closes l. It returns when every connection is closed and every command
// that belonged to one is gone. It returns nil if ctx ended, else the error of l.
func Serve(ctx context.Context, l net.Listener, cfg Config) error {
	a := newAgent(cfg)
	stopDuties := a.startDuties()
	defer stopDuties()

	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	closer := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer func() {
		closer()
		_ = l.Close()
	}()
	return a.accept(ctx, l, &conns)
}

// startDuties starts what runs beside the connections. The function that it returns
// ends all of it and waits for that.
func (a *agent) startDuties() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var duties sync.WaitGroup
	if a.cfg.Init {
		caught, release := notifyChild()
		duties.Go(func() { // ends with ctx
			defer release()
			a.children.reap(ctx, caught)
		})
	}
	duties.Go(a.sweepStages) // ends when it is done
	if a.cfg.MemMiB > 0 {
		duties.Go(func() { a.watchMemory(ctx) }) // ends with ctx
	}
	return func() {
		a.sessions.end()
		a.services.running.Wait() // they end with the connections' context, and have to be reaped
		cancel()
		duties.Wait()
	}
}

func (a *agent) accept(ctx context.Context, l net.Listener, conns *sync.WaitGroup) error {
	var open atomic.Int32
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if conn != nil {
				_ = conn.Close()
			}
			return nil
		case outOfDescriptors(err):
			sys.Sleep(ctx, 10*time.Millisecond)
			continue
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		n := open.Add(1)
		if n > maxConnections+maxRefused {
			open.Add(-1)
			_ = conn.Close()
			continue
		}
		conns.Go(func() { // ends with its connection, which ends with ctx at the latest
			defer open.Add(-1)
			a.serve(ctx, conn, n > maxConnections)
		})
	}
}

// outOfDescriptors reports a failure to accept that passes when others close theirs.
func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED)
}

// prepareDirs makes the directories that commands may rely on. It is put off until
// the first request that could see them, since the host waits for the agent's start.
func (a *agent) prepareDirs() {
	a.prepare.Do(func() {
		_ = os.MkdirAll(a.cfg.Workspace, 0o755)
		for _, dir := range []string{secretsName, "pyro-shells", servicesName} {
			_ = os.MkdirAll(filepath.Join(a.cfg.RunDir, dir), 0o700)
		}
	})
}

// serve answers the one request of a connection and closes it. Nothing that happens
// in it touches another connection.
func (a *agent) serve(ctx context.Context, conn net.Conn, full bool) {
	defer func() { _ = conn.Close() }()
	defer func() {
		if fault := recover(); fault != nil {
			_ = wire.Fail(patient{conn}, &api.Error{Kind: api.Internal, Err: fmt.Errorf("agent fault: %v", fault)})
		}
	}()
	stop := context.AfterFunc(ctx, func() {
		// A deadline also wakes those that Close does not, as in yamux.
		_ = conn.SetDeadline(time.Unix(1, 0))
		_ = conn.Close()
	})
	defer stop()

	r := bufio.NewReader(conn)
	if full {
		refuse(conn, &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("more than %d connections", maxConnections)})
		return
	}
	req, err := wire.Receive(conn, r, a.cfg.HeaderTimeout)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		refuse(conn, &api.Error{Kind: api.Timeout, Err: fmt.Errorf("no request within %v", a.cfg.HeaderTimeout)})
	case errors.Is(err, io.EOF):
		refuse(conn, &api.Error{Kind: api.Invalid, Err: errors.New("request is empty, expected a JSON object")})
	case err != nil:
		refuse(conn, err)
	default:
		a.handle(ctx, conn, r, req)
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// refuse answers a peer whose request was not read to its end.
func refuse(conn net.Conn, err error) {
	_ = conn.SetWriteDeadline(time.Now().Add(lingerTimeout))
	if wire.Fail(conn, err) == nil {
		hangUp(conn)
	}
}

// hangUp ends our half of a connection and takes what the peer still sends, for a
// moment: closing a socket with unread input resets it, and then the peer may lose
// the reply that is on its way. Transports without half a close need none of it.
func hangUp(conn net.Conn) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.Copy(io.Discard, conn)
}

// patient is a connection whose writes may take as long as the peer keeps reading.
type patient struct{ net.Conn }

// Write implements io.Writer.
func (p patient) Write(b []byte) (n int, err error) {
	const step = 64 << 10
	for len(b) > 0 {
		if err := p.SetWriteDeadline(time.Now().Add(bodyTimeout)); err != nil {
			return n, err
		}
		k, err := p.Conn.Write(b[:min(step, len(b))])
		n, b = n+k, b[k:]
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
