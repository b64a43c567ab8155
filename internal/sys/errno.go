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

// IsBusy reports whether something still uses the thing, such as a process in a
// cgroup that is to be removed.
func IsBusy(err error) bool { return errors.Is(err, syscall.EBUSY) }

// IsNotEmpty reports whether a directory could not be removed or replaced because
// it holds entries. POSIX allows either errno.
func IsNotEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}

// IsNoDevice reports whether a file of a pseudo file system is open but what it
// showed is gone, such as cgroup.procs of a cgroup that was just removed.
func IsNoDevice(err error) bool { return errors.Is(err, syscall.ENODEV) }

// IsHangup reports whether the other end of a pipe or socket is gone.
func IsHangup(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
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
	case errors.Is(err, syscall.EROFS):
		e.Kind, e.Hint = api.Denied, "the file system is mounted read-only; name a directory that can be written (that of pyro itself is PYRO_STATE_DIR)"
	case IsDenied(err):
		e.Kind, e.Hint = api.Denied, "check who owns the path; it may have been made by another user or by root"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		e.Kind, e.Hint = api.Unavailable, "too many files are open; raise the limit with ulimit -n"
	case errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EAGAIN):
		e.Kind, e.Hint = api.Unavailable, "the machine is out of memory or processes; end something, then try again"
	}
	return e
}

// IsAddressInUse reports that a port of this machine is taken.
func IsAddressInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
