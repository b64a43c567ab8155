package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

const (
	cgroupRoot   = "/sys/fs/cgroup"
	cgroupParent = "pyro" // the common parent of all sandboxes in a hierarchy
)

// removeCgroup kills what runs in a cgroup and in those below it, and removes them,
// in version 1 and 2 of cgroups(7) alike. It fails with ctx's error when members
// come faster than they can be killed, or do not end.
func removeCgroup(ctx context.Context, path, id string) error {
	if err := checkCgroup(path, id); err != nil {
		return err
	}
	if err := killAll(path); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, killWait, errors.New("its members were killed but do not leave"))
	defer cancel()
	for {
		err := removeCgroups(ctx, path)
		if err == nil {
			break
		}
		if !sys.IsBusy(err) && !sys.IsNotEmpty(err) {
			return err
		}
		// No event tells of a member that has left, in version 1.
		if !sys.Sleep(ctx, 2*time.Millisecond) {
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
	if parent := filepath.Dir(path); filepath.Base(parent) == cgroupParent {
		_ = os.Remove(parent) // fails while another sandbox is in it
	}
	return nil
}

// checkCgroup refuses what is not below a directory "pyro" of a hierarchy, wherever in
// it, and there in one that is named after a sandbox of the workspace.
func checkCgroup(path, id string) error {
	parts := strings.Split(strings.TrimPrefix(path, cgroupRoot+"/"), "/")
	i := slices.Index(parts, cgroupParent)
	if !strings.HasPrefix(path, cgroupRoot+"/") || i < 0 || !slices.ContainsFunc(parts[i+1:], func(part string) bool { return OwnerOf(part) == id }) {
		return fmt.Errorf("it is not of this workspace below a %s of %s and was left alone", cgroupParent, cgroupRoot)
	}
	return nil
}

// killAll has the kernel kill whatever is in a cgroup and below it at once, also what is
// being started there: cgroup.kill, in version 2 from Linux 5.14. Elsewhere it does
// nothing, and leaves it to killMembers.
func killAll(path string) error {
	kill, err := os.OpenFile(filepath.Join(path, "cgroup.kill"), os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = kill.Close() }()
	if err := refuseOwn(path); err != nil {
		return err
	}
	_, err = kill.WriteString("1")
	if sys.IsNoDevice(err) {
		return nil // it is gone
	}
	return err
}

// refuseOwn fails where this process is in a cgroup or below it.
func refuseOwn(path string) error {
	return filepath.WalkDir(path, func(dir string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || sys.IsNoDevice(err) {
			return nil
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		pids, err := members(dir)
		if err == nil && slices.Contains(pids, os.Getpid()) {
			return errOwn
		}
		return err
	})
}

var errOwn = errors.New("this process runs in it itself")

// removeCgroups makes one attempt at the cgroup and those below it, from the leaves.
func removeCgroups(ctx context.Context, path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroups(ctx, filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := killMembers(ctx, path); err != nil {
		return err
	}
	fault.Hit("cgroup-killed")
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// killMembers kills the processes in a cgroup and waits for each. One that is
// started meanwhile is left to the next attempt.
func killMembers(ctx context.Context, path string) error {
	pids, err := members(path)
	if err != nil {
		return err
	}
	if slices.Contains(pids, os.Getpid()) {
		return errOwn
	}
	var killed []sys.Process
	for _, pid := range pids {
		start, err := sys.ProcessStart(pid)
		if errors.Is(err, sys.ErrNoProcess) {
			continue
		}
		if err != nil {
			return err
		}
		killed = append(killed, sys.Process{PID: pid, Start: start})
	}
	// Read again: a number that was in both times, with a start time from between,
	// is a member and no stranger that got the number of one.
	again, err := members(path)
	if err != nil {
		return err
	}
	for _, p := range killed {
		if slices.Contains(again, p.PID) {
			if err := p.Kill(); err != nil {
				return err
			}
		}
	}
	for _, p := range killed {
		if err := p.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// members returns the processes in a cgroup; those of another pid namespace, which
// show as 0, cannot be named from here.
func members(path string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) || sys.IsNoDevice(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var pids []int
	for line := range strings.Lines(string(data)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
