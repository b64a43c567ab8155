//go:build !linux

package sys

import (
	"context"

	"github.com/pyro-sandbox/pyro/api"
	"golang.org/x/sys/unix"
)

func unsupported(op string) error {
	return &api.Error{Kind: api.Unsupported, Op: op, Hint: "workspaces run on Linux"}
}

func readTask(int) (Task, error) { return Task{}, unsupported("read process") }

// Tasks finds none: there is no /proc.
func Tasks() []Task { return nil }

// ChildrenOf finds none: there is no /proc.
func ChildrenOf(int) []Process { return nil }

// Kill is for Linux: nothing else says when a process started.
func (p Process) Kill() error { return unsupported("kill process") }

// Wait is for Linux: nothing else says when a process started.
func (p Process) Wait(context.Context) error { return unsupported("wait for process") }

// BootID returns an id of this run of the machine.
func BootID() (string, error) { return unix.Sysctl("kern.bootsessionuuid") }

// SetSubreaper is for Linux.
func SetSubreaper() error { return unsupported("adopt orphans") }

// Reap takes the status of the process if it is a child of this one and has ended.
func (p Process) Reap() {
	_, _ = unix.Wait4(p.PID, nil, unix.WNOHANG, nil)
}

// MountsAt finds none: pyro mounts nothing here.
func MountsAt(string) ([]string, error) { return nil, nil }
