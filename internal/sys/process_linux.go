package sys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func readTask(pid int) (Task, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// Which of the two it is depends on when the process ended.
	if errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist) {
		return Task{}, ErrNoProcess
	}
	if err != nil {
		return Task{}, err
	}
	return parseTask(pid, data)
}

// parseTask skips the command's name, which is in brackets and may hold brackets
// and blanks itself.
func parseTask(pid int, data []byte) (Task, error) {
	const state, parent, group, session, start, pages = 0, 1, 2, 3, 19, 21 // counted from the field behind the name
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) <= pages {
		return Task{}, fmt.Errorf("stat has %d fields", len(fields))
	}
	t := Task{PID: pid, state: fields[state][0]}
	t.Ended = t.state == 'Z' || t.state == 'X'
	numbers := [...]struct {
		field int
		to    *int
	}{{parent, &t.Parent}, {group, &t.Group}, {session, &t.Session}, {pages, &t.Pages}}
	var err error
	for _, n := range numbers {
		if *n.to, err = strconv.Atoi(string(fields[n.field])); err != nil {
			return Task{}, err
		}
	}
	t.Start, err = strconv.ParseUint(string(fields[start]), 10, 64)
	return t, err
}

// Tasks returns the process table. It is not of one moment; processes that end while
// it is read may be missing.
func Tasks() []Task {
	var list []Task
	for _, pid := range pids() {
		if t, err := readTask(pid); err == nil {
			list = append(list, t)
		}
	}
	return list
}

// ChildrenOf returns the children of a process at this moment. Those that have
// ended but still have their number are among them.
func ChildrenOf(pid int) []Process {
	var children []Process
	for _, t := range Tasks() {
		if t.Parent == pid {
			children = append(children, Process{PID: t.PID, Start: t.Start})
		}
	}
	return children
}

func pids() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1) // what could be read is still worth it
	var list []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// openProcess opens a descriptor of the process, pidfd_open(2), Linux 5.3. From
// then on it cannot be mistaken; that it is the right one is checked afterwards: a
// process that carries the number and start time now and one that carried the
// number before cannot be two, because the start time lies in the past.
func openProcess(pid int, start uint64) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, ErrNoProcess
	}
	if err != nil {
		return -1, os.NewSyscallError("pidfd_open", err)
	}
	t, err := readTask(pid)
	if err == nil && t.Start != start {
		err = ErrNoProcess
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Kill sends SIGKILL to the process and does not wait. It returns nil if the process
// has ended already, and never touches another one that got its number.
func (p Process) Kill() error {
	if err := p.signal(unix.SIGKILL); err != nil && !errors.Is(err, ErrNoProcess) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	return nil
}

// signal sends a signal to this very process, or returns ErrNoProcess.
func (p Process) signal(sig unix.Signal) error {
	fd, err := openProcess(p.PID, p.Start)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.PidfdSendSignal(fd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return ErrNoProcess
	}
	return os.NewSyscallError("pidfd_send_signal", err)
}

// Wait returns nil once the process has ended, though perhaps its parent has not
// asked for its status yet, and ctx's error when that ends first. Any process can be
// waited for, not only children; the kernel wakes it (pidfd_open(2), poll).
func (p Process) Wait(ctx context.Context) error {
	fd, err := openProcess(p.PID, p.Start)
	if errors.Is(err, ErrNoProcess) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", p.PID, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the runtime's poller takes it
		_ = unix.Close(fd)
		return err
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	defer func() { _ = file.Close() }()
	if err := waitReadable(ctx, file); err != nil {
		return fmt.Errorf("wait for process %d: %w", p.PID, err)
	}
	return nil
}

// waitReadable returns when the file can be read or ctx ends.
func waitReadable(ctx context.Context, file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// BootID returns an id of this run of the machine, see random(4). What is noted
// with another one did not survive.
func BootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(data)), nil
}

// SetSubreaper makes this process the parent of orphans among its descendants, so
// that it sees them end; see PR_SET_CHILD_SUBREAPER in prctl(2). It has to reap
// them, too.
func SetSubreaper() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// Reap takes the status of the process if it is a child of this one and has ended,
// so that its number is free. In all other cases it does nothing.
func (p Process) Reap() {
	_, _ = unix.Wait4(p.PID, nil, unix.WNOHANG, nil)
}

// MountsAt returns the mount points at and below a directory, as this process sees
// them, see proc_pid_mountinfo(5). The path must be absolute and clean.
func MountsAt(path string) ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := unescaped.Replace(fields[4])
		if rel, err := filepath.Rel(path, point); err == nil && filepath.IsLocal(rel) {
			found = append(found, point)
		}
	}
	return found, nil
}

// unescaped undoes the octal escapes of blanks and line breaks in mountinfo.
var unescaped = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
