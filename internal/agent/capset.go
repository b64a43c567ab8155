package agent

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capsetAll is capset(2) in every thread: any of them may fork a command.
func capsetAll(head *unix.CapUserHeader, sets *[2]unix.CapUserData) error {
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(head)), uintptr(unsafe.Pointer(sets)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
