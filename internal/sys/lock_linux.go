package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Open file description locks (fcntl_locking(2), Linux 3.15) and not flock(2):
// they have a query, F_OFD_GETLK, that takes nothing. And not the older process
// locks, which end when any descriptor of the file is closed.

func setLock(file *os.File) error {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lk)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return ErrLocked
	}
	if err != nil {
		return &os.PathError{Op: "lock", Path: file.Name(), Err: err}
	}
	return nil
}

func queryLock(file *os.File) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &lk); err != nil {
		return false, &os.PathError{Op: "query lock", Path: file.Name(), Err: err}
	}
	return lk.Type != unix.F_UNLCK, nil
}
