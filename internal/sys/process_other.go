//go:build !linux

package sys

import (
	"context"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"golang.org/x/sys/unix"
)

func unsupported(op string) error {
	return &api.Error{Kind: api.Unsupported, Op: op, Hint: "workspaces run on Linux"}
}

func readStat(int) (stat, error) { return stat{}, unsupported("read process") }

// ChildrenOf finds none: there is no /proc.
func ChildrenOf(int) []Process { return nil }

// KillProcess is for Linux: nothing else says when a process started.
func KillProcess(int, uint64) error { return unsupported("kill process") }

// WaitGone is for Linux: nothing else says when a process started.
func WaitGone(context.Context, int, uint64) error { return unsupported("wait for process") }

// BootID returns an id of this run of the machine.
func BootID() (string, error) { return unix.Sysctl("kern.bootsessionuuid") }

// SetSubreaper is for Linux.
func SetSubreaper() error { return unsupported("adopt orphans") }

// Reap takes the status of the process if it is a child of this one and has ended.
func (p Process) Reap() {
	_, _ = unix.Wait4(p.PID, nil, unix.WNOHANG, nil)
}

// ReapChildren is for Linux.
func ReapChildren(time.Time) error { return unsupported("reap children") }

// MountsAt finds none: pyro mounts nothing here.
func MountsAt(string) ([]string, error) { return nil, nil }
