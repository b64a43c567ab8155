package sys

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/pyro-sandbox/pyro/api"
)

// Errors of the kernel for tests and injected faults, see errno(3).
const (
	ErrNoSpace          = syscall.ENOSPC
	ErrInputOutput      = syscall.EIO
	ErrReadOnly         = syscall.EROFS
	ErrDenied           = syscall.EACCES
	ErrTooManyOpenFiles = syscall.EMFILE
)

// IsNoSpace reports whether a disk or a quota is full.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// IsDenied reports whether the kernel refused for lack of permission.
func IsDenied(err error) bool { return errors.Is(err, fs.ErrPermission) }

// IsReadOnly reports whether the file system takes no writes.
func IsReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// IsBusy reports whether something still uses the thing, such as a process in a
// cgroup that is to be removed.
func IsBusy(err error) bool { return errors.Is(err, syscall.EBUSY) }

// IsNotEmpty reports whether a directory could not be removed or replaced because
// it holds entries. POSIX allows either errno.
func IsNotEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}

// IsNoProcess reports whether the process does not exist any more. A file of it
// in /proc fails with either errno, depending on when it ended.
func IsNoProcess(err error) bool {
	return errors.Is(err, syscall.ESRCH) || errors.Is(err, fs.ErrNotExist)
}

// IsNoDevice reports whether a file of a pseudo file system is open but what it
// showed is gone, such as cgroup.procs of a cgroup that was just removed.
func IsNoDevice(err error) bool { return errors.Is(err, syscall.ENODEV) }

// IsRefused reports whether a socket's path exists but nobody listens.
func IsRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// IsHangup reports whether the other end of a pipe or socket is gone.
func IsHangup(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// IsNotExecutable reports whether execve(2) failed because the file is there but
// cannot be run: no permission, a directory, or no format that the kernel knows.
func IsNotExecutable(err error) bool {
	return errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOEXEC)
}

// Explain wraps an error of the kernel with what a person can do about it: the
// kind, a hint, and op as the operation. An api.Error below keeps its kind; what it
// has no words for is Internal, and nil stays nil.
func Explain(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &api.Error{Kind: api.KindOf(err), Op: op, Err: err}
	var known *api.Error
	switch {
	case errors.As(err, &known):
	case IsNoSpace(err):
		e.Kind, e.Hint = api.Unavailable, "the disk or its quota is full; delete workspaces or free some space, then try again"
	case IsReadOnly(err):
		e.Kind, e.Hint = api.Denied, "the file system is mounted read-only; set PYRO_STATE_DIR to a directory that can be written"
	case IsDenied(err):
		e.Kind, e.Hint = api.Denied, "check who owns the path; it may have been made by another user or by root"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		e.Kind, e.Hint = api.Unavailable, "too many files are open; raise the limit with ulimit -n"
	case errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EAGAIN):
		e.Kind, e.Hint = api.Unavailable, "the machine is out of memory or processes; end something, then try again"
	}
	return e
}
