//go:build !linux

package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func setLock(file *os.File) error { return flock(file, unix.LOCK_EX) }

// queryLock has to take a shared lock for a moment: flock(2) has no query.
func queryLock(file *os.File) (bool, error) {
	err := flock(file, unix.LOCK_SH)
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	return false, err
}

func flock(file *os.File, how int) error {
	err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	if err != nil {
		return &os.PathError{Op: "flock", Path: file.Name(), Err: err}
	}
	return nil
}
