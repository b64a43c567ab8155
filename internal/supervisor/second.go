package supervisor

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// box is a sandbox of the workspace, with what it has on the host: directories, user id
// and cgroup of its own, all of them in the ledger. Where there are several of one
// workspace, one is that which users mean; others are asked something, or take its place.
type box struct {
	engine.Sandbox
	engine engine.Engine
	number int // of its place on the host
	part   *store.Part

	replaced atomic.Bool // another has taken its place
}

// boxes are the sandboxes that there are, by their numbers.
type boxes struct {
	current atomic.Pointer[box] // the one that users mean; nil before there is any

	mu     sync.Mutex
	taken  map[int]*box // nil: one that is being started
	closed bool         // there will be no more
	starts sync.WaitGroup
}

// box is the sandbox that users mean. Another may take its place at any time (see
// reset): whoever does several things in it asks once.
func (s *supervisor) box() *box { return s.boxes.current.Load() }

// agent asks the guest. What it says counts for nothing on the host.
func (s *supervisor) agent() *wire.Client { return s.box().agent() }

// agent asks the guest in this sandbox.
func (b *box) agent() *wire.Client { return &wire.Client{Dial: b.Dial} }

// Dial implements engine.Sandbox. When another sandbox takes the place of this one,
// errors of the connection say so.
func (b *box) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := b.Sandbox.Dial(ctx)
	if err != nil {
		return nil, b.explain(err)
	}
	return &boxConn{Conn: conn, box: b}, nil
}

// errReset is in the chain of what was cut off because the workspace was reset.
var errReset = &api.Error{Kind: api.Conflict, Hint: "do it again in the new state, if it is still wanted", Err: errors.New("the workspace was reset meanwhile")}

func (b *box) explain(err error) error {
	if err != nil && b.replaced.Load() && !wire.IsTimeout(err) {
		return errReset
	}
	return err
}

type boxConn struct {
	net.Conn
	box *box
}

// Read implements net.Conn.
func (c *boxConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) && !c.box.replaced.Load() {
		return n, err
	}
	return n, c.box.explain(err)
}

// Write implements net.Conn.
func (c *boxConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.box.explain(err)
}

// errNoMore is why no further sandbox is started.
var errNoMore = &api.Error{Kind: api.Conflict, Err: errors.New("the workspace is just ending")}

// take reserves the lowest number that is free, from first on.
func (b *boxes) take(first int) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errNoMore
	}
	if b.taken == nil {
		b.taken = make(map[int]*box)
	}
	number := first
	for _, used := b.taken[number]; used; _, used = b.taken[number] {
		number++
	}
	b.taken[number] = nil
	b.starts.Add(1)
	return number, nil
}

// give says what has become of a start: a sandbox, or nothing.
func (b *boxes) give(number int, started *box) {
	defer b.starts.Done()
	if started == nil {
		b.forget(number)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken[number] = started
}

func (b *boxes) forget(number int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.taken, number)
}

// close lets no more be started, and returns those that there are when none is being
// started any more.
func (b *boxes) close() []*box {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.starts.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*box
	for _, there := range b.taken {
		if there != nil {
			all = append(all, there)
		}
	}
	return all
}

// later does something behind the answer. The end of the workspace waits for it.
func (b *boxes) later(f func()) {
	b.mu.Lock()
	closed := b.closed
	if !closed {
		b.starts.Add(1)
	}
	b.mu.Unlock()
	if closed {
		f()
		return
	}
	go func() { // ends with f
		defer b.starts.Done()
		f()
	}()
}

// second starts another sandbox beside the one that there is, in an engine, its disk as
// it was saved in the directory disk, or empty. Nobody else sees it. The caller gives
// it to release, or makes it the one that users mean; when the workspace ends, so does
// it. When it fails nothing is left of it.
func (s *supervisor) second(ctx context.Context, e engine.Engine, disk string) (*box, error) {
	ctx, cancel := s.untilOver(ctx)
	defer cancel()
	number, err := s.boxes.take(1)
	if err != nil {
		return nil, err
	}
	b, err := s.startBox(ctx, e, number, saved{disk: disk})
	if err != nil {
		err = errors.Join(err, s.free(ctx, b.part))
		b = nil
	}
	s.boxes.give(number, b)
	if err == nil {
		fault.Hit("second-started")
	}
	return b, err
}

// saved names the directory of what a sandbox is started from: one of the two, or none.
type saved struct{ disk, memory string }

// startBox starts a sandbox. After an error there is only its part of the ledger.
func (s *supervisor) startBox(ctx context.Context, e engine.Engine, number int, from saved) (*box, error) {
	b := &box{engine: e, number: number, part: s.held.Part(number)}
	spec, err := workspace.SpecOf(b.part, s.recorded().Request, s.Agent)
	if err != nil {
		return b, err
	}
	spec.Disk, spec.Memory, spec.Whole = from.disk, from.memory, s.whole
	b.Sandbox, err = e.Start(ctx, spec, b.part)
	return b, err
}

// release ends a sandbox at once and frees what it had. It may be called again after
// an error; and the workspace's own end frees what is left.
func (s *supervisor) release(ctx context.Context, b *box) error {
	if err := b.end(ctx); err != nil {
		return err
	}
	return s.freeBox(ctx, b)
}

// end ends a sandbox at once: there is nothing in it that anybody wants.
func (b *box) end(ctx context.Context) error {
	now, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cancel()
	err := b.Stop(now)
	fault.Hit("second-stopped")
	return err
}

// freeBox frees what a sandbox had that has ended.
func (s *supervisor) freeBox(ctx context.Context, b *box) error {
	if err := s.free(ctx, b.part); err != nil {
		return err
	}
	s.boxes.forget(b.number)
	return nil
}

func (s *supervisor) free(ctx context.Context, part *store.Part) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	return part.Free(ctx)
}

// endSandboxes ends all sandboxes at once: their disks are saved, or nobody wants them.
// What they had is freed with the rest.
func (s *supervisor) endSandboxes(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	var errs []error
	for _, b := range s.boxes.close() {
		errs = append(errs, b.Stop(ctx))
	}
	return errors.Join(errs...)
}
