package agent

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// status is how a child ended, and when that was learnt.
type status struct {
	wait syscall.WaitStatus
	at   time.Time
}

// children starts processes and waits for them.
//
// PID 1 inherits every orphan of the guest and has to reap those too, which only
// wait4(-1) can do, and that takes the status of whoever is next. So in an init
// one goroutine does all of the waiting and hands each status to the one who asked
// for that child. Elsewhere strangers are not ours to reap, perhaps others in the
// process wait for theirs, and each child is waited for by its own number.
type children struct {
	init bool

	// forking is held for reading from before a fork until the child is entered,
	// and for writing while statuses are collected, so that no status can be
	// collected before somebody waits for it.
	forking sync.RWMutex

	mu      sync.Mutex
	waiting map[int]chan<- status
}

func newChildren(init bool) *children {
	return &children{init: init, waiting: make(map[int]chan<- status)}
}

// start forks a child. Its status is sent once; nobody needs to receive it.
func (c *children) start(fork func() (pid int, err error)) (int, <-chan status, error) {
	c.forking.RLock()
	defer c.forking.RUnlock()
	pid, err := fork()
	if err != nil {
		return 0, nil, err
	}
	ended := make(chan status, 1)
	if !c.init {
		go waitFor(pid, ended) // ends with the child
		return pid, ended, nil
	}
	c.mu.Lock()
	c.waiting[pid] = ended
	c.mu.Unlock()
	return pid, ended, nil
}

func waitFor(pid int, ended chan<- status) {
	var s status
	_, err := wait4(pid, &s.wait, 0)
	if err != nil { // taken by somebody else: as if killed, since nothing better is known
		s.wait = syscall.WaitStatus(syscall.SIGKILL)
	}
	s.at = time.Now()
	ended <- s
}

// notifyChild subscribes to the ends of children. It is called before the first
// child is started. One pending signal is enough: each means "look", not "one".
func notifyChild() (caught <-chan os.Signal, release func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGCHLD)
	return ch, func() { signal.Stop(ch) }
}

// reap collects every child that ends, ours and orphans alike, until ctx ends.
func (c *children) reap(ctx context.Context, caught <-chan os.Signal) {
	for {
		c.collect()
		select {
		case <-caught:
		case <-ctx.Done():
			return
		}
	}
}

// collect takes the status of all children that have ended.
func (c *children) collect() {
	c.forking.Lock()
	defer c.forking.Unlock()
	for {
		var s status
		pid, err := wait4(-1, &s.wait, syscall.WNOHANG)
		if err != nil || pid <= 0 {
			return
		}
		s.at = time.Now()
		c.mu.Lock()
		ended := c.waiting[pid]
		delete(c.waiting, pid)
		c.mu.Unlock()
		if ended != nil {
			ended <- s
		}
	}
}

// signal sends sig to the group of a child that was started as its leader. Where one
// goroutine does all of the waiting, the status of the child is taken by nobody else
// meanwhile, so that its number is still its own; after the child's end nothing is sent.
func (c *children) signal(leader int, sig syscall.Signal) {
	c.forking.RLock()
	defer c.forking.RUnlock()
	c.mu.Lock()
	_, ours := c.waiting[leader]
	c.mu.Unlock()
	if ours || !c.init {
		_ = syscall.Kill(-leader, sig)
	}
}

func wait4(pid int, ws *syscall.WaitStatus, options int) (int, error) {
	for {
		got, err := syscall.Wait4(pid, ws, options, nil)
		if !errors.Is(err, syscall.EINTR) {
			return got, err
		}
	}
}
