//go:build !linux

package sys

import "time"

// Self is for Linux: nothing else says when a process started.
func Self() (Process, error) { return Process{}, unsupported("name this process") }

// Descendants finds none: there is no /proc.
func (p Process) Descendants() []Process { return nil }

// KillDescendants is for Linux.
func (p Process) KillDescendants(time.Time) error { return unsupported("kill descendants") }

// KillTree is for Linux.
func (p Process) KillTree(time.Time) error { return unsupported("kill process") }

// Pause is for Linux.
func (p Process) Pause(time.Time) (resume func(), err error) {
	return func() {}, unsupported("pause processes")
}
