//go:build linux

package main

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// name is the name of the errno in an error, and the text of an error without one.
func name(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		if name := unix.ErrnoName(errno); name != "" {
			return name
		}
	}
	return err.Error()
}

// raw makes a system call and returns its error.
func raw(number uintptr, args ...uintptr) error {
	_, err := value(number, args...)
	return err
}

// value makes a system call and returns its result.
func value(number uintptr, args ...uintptr) (uintptr, error) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return 0, errno
	}
	return r, nil
}

// plain is an attempt that shows nothing.
func plain(try string, do func() error) attempt {
	return attempt{try, func() (string, error) { return "", do() }}
}

// call is an attempt that is one system call.
func call(try string, number uintptr, args ...uintptr) attempt {
	return plain(try, func() error { return raw(number, args...) })
}
