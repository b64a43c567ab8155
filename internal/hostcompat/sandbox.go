package hostcompat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const (
	bootDeadline = 30 * time.Second // from the fork to the hello; it takes milliseconds
	stopAsked    = 2 * time.Second  // for the agent to end all, before it is done from here
	killWait     = 5 * time.Second  // for killed processes to be gone

	controlFD = 3
)

// sandbox is a running agent.
type sandbox struct {
	layout

	cmd     *exec.Cmd
	self    sys.Process   // the agent
	said    sys.Complaint // what the agent printed; complete when done is closed
	channel *wire.Channel

	asked  atomic.Bool // Stop was called: whatever the end looks like, it was wanted
	stop   sync.Once
	saving chan struct{} // has room for the one that has paused the commands
	done   chan struct{} // closed when all processes are gone; exit is valid then
	exit   engine.Exit
}

var (
	_ engine.Sandbox         = (*sandbox)(nil)
	_ engine.DiskSnapshotter = (*sandbox)(nil)
)

// boot starts the agent and waits for its hello. When it fails no process is left.
func (s *sandbox) boot(ctx context.Context, agent string, ledger engine.Ledger) error {
	ours, theirs, err := sys.Socketpair()
	if err != nil {
		return err
	}
	if s.channel, err = wire.NewChannel(ours); err != nil {
		return errors.Join(err, ours.Close(), theirs.Close())
	}
	s.cmd = s.command(agent, theirs)
	err = s.cmd.Start()
	_ = theirs.Close() // the agent's end: ours reads end of file when the agent ends
	if err != nil {
		_ = s.channel.Close()
		return &api.Error{Kind: api.Unsupported, Hint: "run make, or set PYRO_LIBDIR to the directory that holds pyro-agent", Err: fmt.Errorf("start the agent: %w", err)}
	}
	s.self.PID = s.cmd.Process.Pid
	s.self.Start, err = sys.ProcessStart(s.self.PID) // nobody else waits for it, so it is still there
	go s.watch()                                     // ends with the agent
	if err == nil {
		err = ledger.Acquire(store.Resource{Kind: store.KindProcess, PID: s.self.PID, Start: s.self.Start})
	}
	if err == nil {
		err = s.hello(ctx)
	}
	if err != nil {
		s.kill()
		<-s.done
		return s.explain(err)
	}
	return nil
}

// command is the agent's. It gets nothing of our environment but PATH and LANG, for
// which it has defaults, and with it the commands do not.
func (s *sandbox) command(agent string, control *os.File) *exec.Cmd {
	cmd := exec.Command(agent, "--fd", fmt.Sprint(controlFD), "--shared", "--workspace", s.workspace(), "--run-dir", s.runDir())
	cmd.Env = []string{"HOME=" + s.workspace()}
	for _, name := range []string{"PATH", "LANG"} {
		if value := os.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.Dir = s.workspace()
	cmd.Stderr = &s.said
	cmd.ExtraFiles = []*os.File{control} // becomes controlFD
	sys.OwnSession(cmd)                  // a Ctrl-C at the terminal is not for it
	cmd.WaitDelay = time.Second          // a stray holder of stderr must not hold us
	return cmd
}

func (s *sandbox) hello(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootDeadline)
	defer cancel()
	client := wire.Client{Dial: s.Dial}
	_, err := client.Hello(ctx)
	return err
}

// explain adds what the agent said. It has ended.
func (s *sandbox) explain(err error) error {
	if said := s.said.String(); said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	if kind := api.KindOf(err); kind == api.Timeout || kind == api.Canceled {
		return fmt.Errorf("the agent did not answer: %w", err)
	}
	return &api.Error{Kind: api.Unsupported, Hint: "run make, or see whether pyro-agent runs here", Err: fmt.Errorf("the agent does not run: %w", err)}
}

// watch waits until everything of the sandbox is gone, and notes how it ended.
func (s *sandbox) watch() {
	defer close(s.done)
	_ = s.cmd.Wait() // the status is in ProcessState
	_ = s.channel.Close()
	sweep(s.self.PID, time.Now().Add(killWait))
	s.exit.Code = sys.ExitStatus(s.cmd.ProcessState)
	if !s.asked.Load() {
		s.exit.Reason = engine.EndedByLoss
	}
}

// kill ends the agent with everything that came from it.
func (s *sandbox) kill() { _ = s.self.KillTree(time.Now().Add(killWait)) }

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
	s.stop.Do(func() { go s.escalate() })
	<-s.done // after escalate at the latest
	return nil
}

// escalate ends when the sandbox has ended.
func (s *sandbox) escalate() {
	_ = s.channel.Close() // end of file: the agent kills all that came from it, and exits
	timer := time.NewTimer(stopAsked)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
		s.kill()
	}
}

// Limits implements engine.Sandbox.
func (*sandbox) Limits() api.Limits { return limits() }
