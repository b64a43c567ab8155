package sys

import (
	"errors"
	"fmt"
)

// Process names one process for all time: numbers are used again, but not together
// with the same start time. It is plain data and survives in a file, together with
// the boot id, because both count from the start of the machine.
type Process struct {
	PID   int
	Start uint64 // clock ticks since boot, field 22 of /proc/PID/stat
}

// ErrNoProcess is returned where a process has ended.
var ErrNoProcess = errors.New("no such process")

// Alive reports whether the process runs. One that has ended and that nobody has
// asked for its status does not.
func (p Process) Alive() bool {
	t, err := readTask(p.PID)
	return err == nil && t.Start == p.Start && !t.Ended
}

// ProcessStart returns when a process started, in clock ticks since boot. With its
// number this identifies it. A process that does not exist is ErrNoProcess.
func ProcessStart(pid int) (uint64, error) {
	t, err := readTask(pid)
	if err != nil {
		return 0, fmt.Errorf("start of process %d: %w", pid, err)
	}
	return t.Start, nil
}

// Task is a line of the process table: what pyro reads of /proc/PID/stat, see
// proc_pid_stat(5). It was so at one moment.
type Task struct {
	PID, Parent, Group, Session int
	Start                       uint64 // as in Process
	Pages                       int    // resident
	Ended                       bool   // nothing is left of it but its status
	state                       byte
}
