package gvisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// How long the steps of Stop wait for the one before: first the agent sees end of
// file and exits, then runsc passes a TERM on, then everything is killed.
const (
	stopAsked      = 2 * time.Second
	stopTerminated = time.Second
)

// orphaned is how long pyro-runsc may outlive its Sentry or gofer. It takes some
// milliseconds to notice, and to clean up.
const orphaned = 2 * time.Second

// sandbox is a running pyro-runsc with its Sentry and gofer.
type sandbox struct {
	spec   engine.Spec
	helper *helper
	limits api.Limits
	group  cgroup
	saving chan struct{} // holds one element while the disk is being saved

	cmd     *exec.Cmd
	said    sys.Complaint // what pyro-runsc printed: nothing unless it failed
	channel *wire.Channel
	tells   bool // the Sentry remembers what is mapped; valid after boot
	adopted sync.Once
	family  []sys.Process // Sentry and gofer, valid after adopt

	asked atomic.Bool // Stop was called: whatever the end looks like, it was wanted
	stop  sync.Once
	done  chan struct{} // closed when all processes are gone; exit is valid then
	exit  engine.Exit
}

var _ engine.Sandbox = (*sandbox)(nil)

func newSandbox(spec engine.Spec, h *helper, group cgroup) *sandbox {
	return &sandbox{
		spec: spec, helper: h, limits: group.limits, group: group,
		saving: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// bootError is a boot that failed, with what pyro-runsc said about it.
type bootError struct {
	step string // fork or hello
	said string
	code int    // of pyro-runsc, -1 where it was killed or never ran
	disk string // the saved one that it was to start from
	err  error
}

func (e *bootError) Error() string {
	if e.said != "" {
		return fmt.Sprintf("%s: %v: %s", e.step, e.err, e.said)
	}
	return fmt.Sprintf("%s: %v", e.step, e.err)
}

func (e *bootError) Unwrap() error { return e.err }

// boot forks pyro-runsc and waits for the agent's hello. When it fails no process
// is left.
func (s *sandbox) boot(ctx context.Context, args []string, disk *image) error {
	ours, guest, err := sys.Socketpair()
	if err != nil {
		return err
	}
	// Before the fork: run closes it when pyro-runsc ends, at once perhaps.
	newChannel := wire.NewChannel
	if s.spec.Memory != "" {
		newChannel = wire.NewRestoredChannel
	}
	if s.channel, err = newChannel(ours); err != nil {
		return errors.Join(err, ours.Close(), guest.Close())
	}
	started := make(chan error, 1)
	go s.run(args, guest, disk, started)
	if err := <-started; err != nil {
		_ = s.channel.Close()
		return &bootError{step: "fork", code: -1, err: err}
	}
	fault.Hit("sandbox-forked")
	ctx, cancel := context.WithTimeout(ctx, bootDeadline+disk.loadTime())
	defer cancel()
	if err := s.hello(ctx); err != nil {
		s.adopt() // now: when pyro-runsc is gone, its children are nobody's
		s.kill()
		<-s.done
		return &bootError{step: "hello", said: s.said.String(), code: s.cmd.ProcessState.ExitCode(), disk: s.spec.Disk, err: err}
	}
	return nil
}

// run starts pyro-runsc, reports, and lives until everything of the sandbox is
// gone. It keeps its thread: the parent-death signal belongs to the thread that
// forked, and would strike when that ends.
func (s *sandbox) run(args []string, guest *os.File, disk *image, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.done)
	err := s.fork(args, guest, disk)
	// Ours must be closed, or we would never read end of file when the guest ends.
	_ = guest.Close()
	started <- err
	if err != nil {
		s.exit = engine.Exit{Code: -1, Reason: engine.EndedByLoss}
		return
	}
	_ = s.cmd.Wait() // the status is in ProcessState
	_ = s.channel.Close()
	s.exit = s.verdict()
}

func (s *sandbox) fork(args []string, guest *os.File, disk *image) error {
	self, err := s.helper.open()
	if err != nil {
		return err
	}
	s.cmd = child(context.Background(), s.spec.UID, args, map[int]*os.File{
		helperFD: self, controlFD: guest, diskFD: disk.directory(),
	})
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	started, err := s.group.receive(s.cmd)
	if err != nil {
		return err
	}
	defer started()
	return s.cmd.Start()
}

// hello waits for the agent and for nothing else: the channel works as soon as
// something answers. It asks again where a large disk takes longer than one answer may.
func (s *sandbox) hello(ctx context.Context) error {
	client := wire.Client{Dial: s.Dial}
	for {
		reply, err := client.Hello(ctx)
		if err == nil {
			s.greeted(reply)
			go s.guard() // ends with the sandbox
			return nil
		}
		var slow net.Error
		if ctx.Err() != nil || !errors.As(err, &slow) || !slow.Timeout() {
			return err
		}
	}
}

// greeted notes what the agent has said of itself and of the kernel below.
func (s *sandbox) greeted(h wire.Hello) {
	s.tells = slices.Contains(h.Capabilities, wire.CapabilityTellsWrites)
}

// guard watches every process of the sandbox. Finding them takes some milliseconds,
// which nobody has to wait for.
func (s *sandbox) guard() {
	var all sync.WaitGroup
	for _, p := range s.adopt() {
		all.Go(func() { s.watch(p) })
	}
	all.Wait()
}

// watch ends the sandbox when one of its processes has ended and pyro-runsc does
// not follow: without its gofer a sandbox would go on, failing in odd ways. It
// returns when the sandbox has ended.
func (s *sandbox) watch(p sys.Process) {
	_ = p.Wait(context.Background())
	if !s.ended(context.Background(), orphaned) {
		s.kill()
	}
}

func (s *sandbox) kill() { _ = s.cmd.Process.Kill() }

// Dial implements engine.Sandbox.
func (s *sandbox) Dial(ctx context.Context) (net.Conn, error) { return s.channel.Dial(ctx) }

// Wait implements engine.Sandbox.
func (s *sandbox) Wait(ctx context.Context) (engine.Exit, error) {
	select {
	case <-s.done:
		return s.exit, nil
	case <-ctx.Done():
		return engine.Exit{}, context.Cause(ctx)
	}
}

// Stop implements engine.Sandbox.
func (s *sandbox) Stop(ctx context.Context) error {
	s.asked.Store(true)
	impatient := context.AfterFunc(ctx, s.kill)
	defer impatient()
	ctx = context.WithoutCancel(ctx)
	s.stop.Do(func() { go s.escalate(ctx) })
	_, err := s.Wait(ctx)
	return err
}

// escalate ends when the sandbox has ended.
func (s *sandbox) escalate(ctx context.Context) {
	_ = s.channel.Close() // end of file: the agent, PID 1, exits
	if s.ended(ctx, stopAsked) {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if s.ended(ctx, stopTerminated) {
		return
	}
	s.kill()
	<-s.done
}

func (s *sandbox) ended(ctx context.Context, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-s.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// Limits implements engine.Sandbox.
func (s *sandbox) Limits() api.Limits { return s.limits }

// verdict waits until the Sentry and the gofer are gone as well, and says how the
// sandbox ended. Both die with pyro-runsc by their parent-death signals.
func (s *sandbox) verdict() engine.Exit {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, p := range s.adopt() {
		if errors.Is(p.Wait(ctx), context.DeadlineExceeded) {
			_ = p.Kill()
		}
		p.Reap()
	}
	s.group.sweep()
	code := sys.ExitStatus(s.cmd.ProcessState)
	switch {
	case s.asked.Load():
		return engine.Exit{Code: code}
	case s.group.killed():
		return engine.Exit{Code: code, Reason: engine.EndedByOOM}
	default:
		return engine.Exit{Code: code, Reason: engine.EndedByLoss}
	}
}

// adopt returns the children of pyro-runsc, whose end has to be awaited. The first
// call finds them; it has to come before pyro-runsc is reaped, or finds none.
func (s *sandbox) adopt() []sys.Process {
	s.adopted.Do(func() { s.family = sys.ChildrenOf(s.cmd.Process.Pid) })
	return s.family
}
