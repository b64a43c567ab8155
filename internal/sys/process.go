package sys

import (
	"context"
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

// Kill ends the process for sure. It returns nil if it has ended already, and
// never touches another process that got its number.
func (p Process) Kill() error { return KillProcess(p.PID, p.Start) }

// Wait returns nil once the process has ended, though perhaps its parent has not
// asked for its status yet, and ctx's error when that ends first.
func (p Process) Wait(ctx context.Context) error { return WaitGone(ctx, p.PID, p.Start) }

// Alive reports whether the process runs. One that has ended and that nobody has
// asked for its status does not.
func (p Process) Alive() bool {
	stat, err := readStat(p.PID)
	return err == nil && stat.start == p.Start && stat.state != 'Z' && stat.state != 'X'
}

// ProcessStart returns when a process started, in clock ticks since boot. With its
// number this identifies it. A process that does not exist is ErrNoProcess.
func ProcessStart(pid int) (uint64, error) {
	stat, err := readStat(pid)
	if err != nil {
		return 0, fmt.Errorf("start of process %d: %w", pid, err)
	}
	return stat.start, nil
}

// stat is what pyro reads of /proc/PID/stat, see proc_pid_stat(5).
type stat struct {
	state  byte
	parent int
	start  uint64
}
