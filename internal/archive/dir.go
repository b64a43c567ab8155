package archive

import (
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// dir is an open directory in which single names are used; no name here ever has a
// slash, and no call follows a link. Errors are the bare ones: callers add which
// path it was.
type dir struct {
	fd   int
	lent bool // somebody else closes it
}

func (d dir) close() {
	if !d.lent {
		_ = unix.Close(d.fd)
	}
}

// open opens name with flags. A link there gives ErrSymlink.
func (d dir) open(name string, flags int, perm uint32) (int, error) {
	for {
		fd, err := unix.Openat(d.fd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
		switch err {
		case nil:
			return fd, nil
		case unix.EINTR:
			continue
		case unix.ELOOP, unix.ENOTDIR:
			if s, statErr := d.lstat(name); statErr == nil && s.kind == KindSymlink {
				return -1, ErrSymlink
			}
		}
		return -1, err
	}
}

// sub opens the directory name for going through it.
func (d dir) sub(name string) (dir, error) {
	fd, err := d.open(name, searchFlags, 0)
	return dir{fd: fd}, err
}

// file opens a regular file or a directory, and refuses anything else without
// waiting for it: opening a FIFO would otherwise block until its other end is
// opened too.
func (d dir) file(name string, flags int, perm uint32) (*os.File, status, error) {
	fd, err := d.open(name, flags|unix.O_NONBLOCK|unix.O_NOCTTY, perm)
	if err != nil {
		return nil, status{}, err
	}
	s, err := fstat(fd)
	if err == nil && s.kind != KindFile && s.kind != KindDirectory {
		err = ErrSpecial
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, status{}, err
	}
	return os.NewFile(uintptr(fd), name), s, nil
}

// reader opens a regular file for reading and hands out the bare descriptor, which
// costs half of the system calls that file takes. The caller closes it.
func (d dir) reader(name string) (int, status, error) {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, status{}, err
	}
	s, err := fstat(fd)
	if err == nil && s.kind != KindFile {
		err = ErrChanged
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, status{}, err
	}
	return fd, s, nil
}

// list opens a directory for listing. The caller closes it.
func (d dir) list(name string) (*os.File, status, error) {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, status{}, err
	}
	s, err := fstat(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, status{}, err
	}
	return os.NewFile(uintptr(fd), name), s, nil
}

// create makes a regular file that did not exist, for writing. The caller closes the
// descriptor.
func (d dir) create(name string, perm uint32) (int, error) {
	return d.open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, perm)
}

// writeAll writes p to the regular file fd.
func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err != nil && err != unix.EINTR {
			return err
		}
		p = p[max(n, 0):]
	}
	return nil
}

// names lists at most limit names in byte order, and fails with ErrLimit where
// there are more.
func (d dir) names(limit int) ([]string, error) {
	f, _, err := d.list(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return listed(f, limit)
}

func listed(f *os.File, limit int) ([]string, error) {
	names, err := f.Readdirnames(limit + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) > limit {
		return nil, ErrLimit
	}
	slices.Sort(names)
	return names, nil
}

func (d dir) lstat(name string) (status, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return status{}, err
	}
	return newStatus(&st), nil
}

// readlink reads a target of at most limit bytes.
func (d dir) readlink(name string, limit int) (string, error) {
	buf := make([]byte, limit+1)
	n, err := unix.Readlinkat(d.fd, name, buf)
	if err != nil {
		return "", err
	}
	if n > limit {
		return "", ErrLimit
	}
	return string(buf[:n]), nil
}

// target reads a symlink that stood there a moment ago.
func (d dir) target(name string) (string, error) {
	target, err := d.readlink(name, maxTarget)
	if err == unix.EINVAL {
		return "", ErrChanged
	}
	return target, err
}

// setTime sets both times of name, in whole seconds, of a link its own.
func (d dir) setTime(name string, t time.Time) error {
	ts := unix.Timespec{Sec: t.Unix()}
	return unix.UtimesNanoAt(d.fd, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}
