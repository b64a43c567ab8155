package agent

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
)

// maxDying is how long killed processes may take to be gone. One that sleeps in the
// kernel beyond that is left to the end of the guest.
const maxDying = 5 * time.Second

// process is a running command: the leader of a session of its own, and our ends of
// its pipes.
type process struct {
	agent  *agent
	pid    int
	mark   string // in its environment and that of its descendants, see family
	begun  time.Time
	ended  <-chan status
	stdin  *os.File // nil unless asked for
	stdout *os.File
	stderr *os.File
	oom    atomic.Bool // set before it is killed for its memory

	terminal *os.File // of a command on one: stdout, which is its stderr too; else nil
	slave    *os.File // of the terminal, see makeTerminal
}

// ending is what came of a process.
type ending struct {
	code   int
	reason string // of api.EndedBy…; empty where it ended by itself
	took   time.Duration
}

// start starts c. The caller runs the process to its end (await) and closes its files.
func (a *agent) start(c command) (*process, error) {
	path, argv, err := resolve(c)
	if err != nil {
		return nil, err
	}
	p := &process{agent: a, mark: a.marks.next()}
	c.env[markName] = p.mark
	if c.dir != "" {
		c.env["PWD"] = c.dir
	}
	theirs, err := p.makeFiles(c)
	defer closeAll(theirs)
	if err != nil {
		p.close()
		return nil, &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("start %s: %w", c.argv[0], err)}
	}
	attr := &syscall.ProcAttr{
		Dir: c.dir, Env: pairs(c.env), Sys: a.attributes(c),
		Files: []uintptr{uintptr(theirs[0]), uintptr(theirs[1]), uintptr(theirs[2])},
	}
	p.begun = time.Now()
	p.pid, p.ended, err = a.children.start(func() (int, error) { return a.fork(path, argv, attr) })
	if err != nil {
		p.close()
		return nil, startError(c.argv[0], err)
	}
	a.running.add(p)
	return p, nil
}

// attributes are those of a command: a session of its own, which on a machine that is
// not the agent's own does not outlive the agent. The kernel holds the leader alone to
// that, and not even it once it has run a set-user-id program (PR_SET_PDEATHSIG(2const)).
func (a *agent) attributes(c command) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Setctty: c.terminal != nil} // the terminal that is its stdin
	if a.cfg.Shared {
		attr.Pdeathsig = syscall.SIGKILL
	}
	return attr
}

// fork starts a program and holds it, and all that it starts, to fewer processes than
// the agent may have: with none left, the agent itself could not start a thread, and
// its end is the end of the sandbox. That the program runs for a moment before it is
// limited gains it nothing, since the agent's own limit holds for all together.
func (a *agent) fork(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	pid, err := syscall.ForkExec(path, argv, attr)
	if err == nil && a.cfg.PIDs > 0 {
		limit := unix.Rlimit{Cur: uint64(a.cfg.PIDs), Max: uint64(a.cfg.PIDs)}
		_ = unix.Prlimit(pid, unix.RLIMIT_NPROC, &limit, nil) // fails for one that has ended already
	}
	return pid, err
}

// makeFiles opens the three files of a command. It sets our ends in p and returns
// the others, also those that were opened before an error.
func (p *process) makeFiles(c command) (theirs []int, err error) {
	if c.terminal != nil {
		return p.makeTerminal(c)
	}
	if c.stdin {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			return theirs, err
		}
		theirs = append(theirs, fds[0])
		p.stdin = pollable(fds[1])
	} else {
		null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return theirs, err
		}
		theirs = append(theirs, null)
	}
	for _, ours := range []**os.File{&p.stdout, &p.stderr} {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			return theirs, err
		}
		theirs = append(theirs, fds[1])
		*ours = pollable(fds[0])
	}
	return theirs, nil
}

// pollable wraps our end of a pipe; only ours is non-blocking, programs expect
// theirs to block.
func pollable(fd int) *os.File {
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), "pipe")
}

func closeAll(fds []int) {
	for _, fd := range slices.Compact(fds) {
		_ = unix.Close(fd)
	}
}

func (p *process) close() {
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr, p.slave} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// run runs c to its end and copies its output to out and errs. It returns when the
// process itself has ended: what it wrote by then is in out and errs, and children
// that it leaves behind go on without holding anything up. When ctx ends or the
// timeout strikes, all of them are killed. attach is called once the process runs.
func (a *agent) run(ctx context.Context, c command, out, errs io.Writer, attach func(*process)) (ending, error) {
	p, err := a.start(c)
	if err != nil {
		return ending{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outs := a.pump(p.stdout, out, cancel)
	complaints := outs
	if p.stderr != nil {
		complaints = a.pump(p.stderr, errs, cancel)
	}
	attach(p)
	end := a.await(ctx, p, c.timeout)
	a.running.remove(p)
	p.letGo()
	outs.finish()
	if complaints != outs {
		complaints.finish()
	}
	if p.stdin != nil {
		_ = p.stdin.Close()
	}
	if note := end.note(c.timeout); note != "" {
		complaints.say(note)
	}
	return end, nil
}

// await returns once p has ended, by itself or not.
func (a *agent) await(ctx context.Context, p *process, timeout time.Duration) ending {
	var strikes <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		strikes = timer.C
	}
	end := ending{code: codeTimeout, reason: api.EndedByTimeout}
	select {
	case s := <-p.ended:
		return p.endedBy(s)
	case <-strikes:
	case <-ctx.Done():
		end = ending{code: -int(syscall.SIGKILL), reason: api.EndedByCancel}
	}
	select {
	case s := <-p.ended: // both at once: what it did by itself counts
		return p.endedBy(s)
	default:
	}
	p.killAll()
	dying := time.NewTimer(maxDying)
	defer dying.Stop()
	select {
	case s := <-p.ended:
		end.took = s.at.Sub(p.begun)
	case <-dying.C:
		end.took = time.Since(p.begun)
	}
	return end
}

func (p *process) endedBy(s status) ending {
	end := ending{code: s.wait.ExitStatus(), took: s.at.Sub(p.begun)}
	if s.wait.Signaled() {
		end.code = -int(s.wait.Signal())
		if p.oom.Load() {
			end.code, end.reason = codeOOM, api.EndedByOOM
		}
	}
	return end
}

// note is what the user reads on stderr of a command that did not end by itself.
func (e ending) note(timeout time.Duration) string {
	switch e.reason {
	case api.EndedByTimeout:
		return "pyro: command timed out after " + strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64) + " seconds\n"
	case api.EndedByOOM:
		return "pyro: command was killed, the memory of the workspace is used up\n"
	}
	return ""
}

// signal sends sig to the process group, which may be gone meanwhile.
func (p *process) signal(sig syscall.Signal) { p.agent.children.signal(p.pid, sig) }
