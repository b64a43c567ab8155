package sys

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// maxDescent bounds the way up from a process to its ancestors.
const maxDescent = 1 << 20

// Self is this process.
func Self() (Process, error) {
	start, err := ProcessStart(os.Getpid())
	return Process{PID: os.Getpid(), Start: start}, err
}

// Descendants returns what came from the process and runs at this moment: its
// children, theirs and so on. Never is a process among them that did not come from
// it. One whose parents have ended is, if p is a subreaper, see SetSubreaper; else it
// has moved out of sight.
func (p Process) Descendants() []Process {
	table := make(map[int]Task)
	for _, t := range Tasks() {
		table[t.PID] = t
	}
	inTable := func(pid int) (Task, error) {
		if t, ok := table[pid]; ok {
			return t, nil
		}
		return Task{}, ErrNoProcess
	}
	var found []Process
	for pid, t := range table {
		d := Process{PID: pid, Start: t.Start}
		// The table was not read at one moment, so that numbers used again may join
		// what never belonged together. It only says who is worth a closer look.
		if !t.Ended && d.descends(p, inTable) && d.descends(p, readTask) {
			found = append(found, d)
		}
	}
	return found
}

// descends climbs from d to ancestor. Each parent is looked at after its child has
// named it, and must not be younger: one that got the number of a parent which ended
// in between would be.
func (d Process) descends(ancestor Process, read func(pid int) (Task, error)) bool {
	t, err := read(d.PID)
	if err != nil || t.Start != d.Start {
		return false
	}
	for range maxDescent {
		parent, start := t.Parent, t.Start
		if parent <= 0 {
			return false
		}
		if t, err = read(parent); err != nil || t.Start > start {
			return false
		}
		if parent == ancestor.PID {
			return t.Start == ancestor.Start
		}
	}
	return false
}

// KillDescendants kills all descendants of the process until none is left. Those
// still there at the deadline, and those that this process may not signal, are an
// error, which names one.
func (p Process) KillDescendants(deadline time.Time) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		left := p.Descendants()
		if len(left) == 0 {
			return nil
		}
		var errs []error
		for _, d := range left {
			if err := d.Kill(); err != nil {
				errs = append(errs, err)
			}
		}
		if len(errs) == len(left) {
			return errors.Join(errs...)
		}
		if !time.Now().Before(deadline) {
			return fmt.Errorf("%d descendants of process %d still run, the first is process %d", len(left), p.PID, left[0].PID)
		}
		time.Sleep(wait) // the dead need a moment; what they forked is found next time
	}
}

// KillTree kills the process and all of its descendants. It stops the process first,
// so that it starts no more and keeps the orphans that it adopts. It returns nil if
// the process has ended already, whatever may have come from it. It does not wait for
// the process itself.
func (p Process) KillTree(deadline time.Time) error {
	err := p.signal(unix.SIGSTOP)
	if errors.Is(err, ErrNoProcess) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop process %d: %w", p.PID, err)
	}
	err = p.KillDescendants(deadline)
	return errors.Join(err, p.Kill())
}

// Pause stops the descendants of the process, as SIGSTOP does, and returns when none
// of them runs. The function it returns lets go those that it stopped; it is never
// nil. What was stopped before stays so. An error names a process that does not stop.
func (p Process) Pause(deadline time.Time) (resume func(), err error) {
	var stopped []Process
	resume = func() {
		for _, d := range stopped {
			_ = d.signal(unix.SIGCONT) // it may have ended
		}
	}
	told := make(map[Process]time.Time)
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		running := slices.DeleteFunc(p.Descendants(), func(d Process) bool { return d.stopped(told[d]) })
		if len(running) == 0 {
			return resume, nil
		}
		for _, d := range running {
			err := d.signal(unix.SIGSTOP)
			if err != nil && !errors.Is(err, ErrNoProcess) {
				return resume, fmt.Errorf("pause process %d: %w", d.PID, err)
			}
			if _, again := told[d]; err == nil && !again {
				told[d] = time.Now()
				stopped = append(stopped, d)
			}
		}
		if !time.Now().Before(deadline) {
			return resume, fmt.Errorf("process %d does not pause", running[0].PID)
		}
		time.Sleep(wait)
	}
}

// stopped reports whether the process runs none of its code. One that was told to stop
// a while ago and still sleeps in the kernel will not before it is let go: so sleeps
// the parent of a vfork(2) whose child was stopped.
func (p Process) stopped(told time.Time) bool {
	const asleep = 100 * time.Millisecond
	t, err := readTask(p.PID)
	switch {
	case err != nil, t.Start != p.Start, t.Ended:
		return true
	case t.state == 'D':
		return !told.IsZero() && time.Since(told) > asleep
	}
	return t.state == 'T' || t.state == 't' // the latter by a debugger
}
