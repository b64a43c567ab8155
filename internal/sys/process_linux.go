package sys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if IsNoProcess(err) {
		return stat{}, ErrNoProcess
	}
	if err != nil {
		return stat{}, err
	}
	return parseStat(data)
}

// parseStat skips the command's name, which is in brackets and may hold brackets
// and blanks itself.
func parseStat(data []byte) (stat, error) {
	const state, parent, start = 0, 1, 19 // counted from the field behind the name
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) <= start {
		return stat{}, fmt.Errorf("stat has %d fields", len(fields))
	}
	s := stat{state: fields[state][0]}
	var err error
	if s.parent, err = strconv.Atoi(string(fields[parent])); err != nil {
		return stat{}, err
	}
	s.start, err = strconv.ParseUint(string(fields[start]), 10, 64)
	return s, err
}

// ChildrenOf returns the children of a process at this moment. Those that have
// ended but still have their number are among them.
func ChildrenOf(pid int) []Process {
	var children []Process
	for _, p := range pids() {
		if stat, err := readStat(p); err == nil && stat.parent == pid {
			children = append(children, Process{PID: p, Start: stat.start})
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
	stat, err := readStat(pid)
	if err == nil && stat.start != start {
		err = ErrNoProcess
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// KillProcess sends SIGKILL to the process with this number and start time. It
// returns nil if there is none any more; another process that got the number is
// left alone. It does not wait.
func KillProcess(pid int, start uint64) error {
	fd, err := openProcess(pid, start)
	if errors.Is(err, ErrNoProcess) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

// WaitGone returns nil once the process with this number and start time has ended,
// and ctx's error when that ends first. Any process can be waited for, not only
// children; the kernel wakes it (pidfd_open(2), poll).
func WaitGone(ctx context.Context, pid int, start uint64) error {
	fd, err := openProcess(pid, start)
	if errors.Is(err, ErrNoProcess) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", pid, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the runtime's poller takes it
		_ = unix.Close(fd)
		return err
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	defer func() { _ = file.Close() }()
	if err := waitReadable(ctx, file); err != nil {
		return fmt.Errorf("wait for process %d: %w", pid, err)
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

// ReapChildren takes the status of children, orphans adopted as a subreaper among
// them, until none is left or the deadline has passed; then it names those that
// still run. It must not be called while an exec.Cmd of this process waits for a
// child of its own, whose status it would take.
func ReapChildren(deadline time.Time) error {
	self := os.Getpid()
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return os.NewSyscallError("wait4", err)
		}
		children := ChildrenOf(self)
		if len(children) == 0 {
			continue
		}
		if !time.Now().Before(deadline) {
			return fmt.Errorf("%d children still run, the first is process %d", len(children), children[0].PID)
		}
		if err := waitAny(children, deadline); err != nil {
			return err
		}
	}
}

// waitAny returns when one of the processes has ended or the deadline has passed.
func waitAny(processes []Process, deadline time.Time) error {
	var fds []unix.PollFd
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(int(fd.Fd))
		}
	}()
	for _, p := range processes {
		fd, err := openProcess(p.PID, p.Start)
		if errors.Is(err, ErrNoProcess) {
			return nil
		}
		if err != nil {
			return err
		}
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	left := max(time.Until(deadline), 0)
	_, err := unix.Poll(fds, int(left.Milliseconds())+1)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	return os.NewSyscallError("poll", err)
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
		point := unescape(fields[4])
		if rel, err := filepath.Rel(path, point); err == nil && filepath.IsLocal(rel) {
			found = append(found, point)
		}
	}
	return found, nil
}

// unescape undoes the octal escapes of blanks and line breaks in mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
