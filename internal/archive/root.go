package archive

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxTarget is the longest target of a symlink, in bytes: PATH_MAX without its NUL.
const maxTarget = 4095

// Root is an open directory and a way to what is below it. The paths its methods
// take are relative to it, with "" and "." for itself; one that is absolute or has
// a part ".." fails with ErrEscapes. No link is followed: where one stands in a
// path, or is what should be opened, the error is ErrSymlink. Errors name the
// operation and the path.
//
// A Root may be used by several goroutines at once. Whoever opened it closes it,
// after the last use.
type Root struct {
	file *os.File
}

// OpenRoot opens the directory at path, which is the caller's own: links in it are
// followed, this once.
func OpenRoot(path string) (*Root, error) {
	fd, err := unix.Open(path, searchFlags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return &Root{file: os.NewFile(uintptr(fd), path)}, nil
}

// Close gives the descriptor back. A second call returns os.ErrClosed.
func (r *Root) Close() error { return r.file.Close() }

// Sub opens the directory at path as a Root of its own.
func (r *Root) Sub(path string) (*Root, error) {
	parts, err := split(path)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	d, err := r.walk(append(parts, "."), nil)
	if err != nil {
		return nil, err
	}
	return &Root{file: os.NewFile(uintptr(d.fd), path)}, nil
}

// Open opens the regular file or directory at path; flags are those of os.OpenFile.
// Anything else gives ErrSpecial at once, so a FIFO never blocks the caller, who
// closes the file.
func (r *Root) Open(path string, flags int, perm fs.FileMode) (*os.File, error) {
	d, name, err := r.at("open", path)
	if err != nil {
		return nil, err
	}
	defer d.close()
	f, _, err := d.file(name, flags, uint32(perm.Perm()))
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return f, nil
}

// Stat describes what stands at path, of a link the link itself.
func (r *Root) Stat(path string) (Info, error) {
	d, name, err := r.at("stat", path)
	if err != nil {
		return Info{}, err
	}
	defer d.close()
	s, err := d.lstat(name)
	return s.info(name), pathError("stat", path, err)
}

// ReadDir describes what is in the directory at path, in byte order of the names.
// More than limit names give ErrLimit; names that vanish meanwhile are left out.
func (r *Root) ReadDir(path string, limit int) ([]Info, error) {
	sub, err := r.Sub(path)
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	d := sub.dir()
	names, err := d.names(limit)
	if err != nil {
		return nil, pathError("list", path, err)
	}
	infos := make([]Info, 0, len(names))
	for _, name := range names {
		s, err := d.lstat(name)
		switch {
		case err == nil:
			infos = append(infos, s.info(name))
		case !errors.Is(err, fs.ErrNotExist):
			return nil, pathError("list", path, err)
		}
	}
	return infos, nil
}

// Readlink returns the target of the symlink at path.
func (r *Root) Readlink(path string) (string, error) {
	d, name, err := r.at("readlink", path)
	if err != nil {
		return "", err
	}
	defer d.close()
	target, err := d.readlink(name, maxTarget)
	return target, pathError("readlink", path, err)
}

// MkdirAll makes the directory at path and those above it that are missing, with
// perm less the umask. What is there already stays as it is, and is an error where
// it is not a directory.
func (r *Root) MkdirAll(path string, perm fs.FileMode) error {
	parts, err := split(path)
	if err != nil {
		return pathError("mkdir", path, err)
	}
	d, err := r.walk(parts, func(at dir, name, _ string) error {
		return unix.Mkdirat(at.fd, name, uint32(perm.Perm()))
	})
	if err != nil {
		return err
	}
	d.close()
	return nil
}

// Remove deletes the file, link or empty directory at path.
func (r *Root) Remove(path string) error {
	return r.change("remove", path, func(d dir, name string) error {
		err := unix.Unlinkat(d.fd, name, 0)
		// Which of the two a directory gives differs between systems.
		if err == unix.EISDIR || err == unix.EPERM {
			if s, statErr := d.lstat(name); statErr == nil && s.kind == KindDirectory {
				return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
			}
		}
		return err
	})
}

// Rename moves what stands at from to the path to, replacing a file or link there.
func (r *Root) Rename(from, to string) error {
	return r.change("rename", from, func(source dir, name string) error {
		return r.change("rename to", to, func(target dir, newName string) error {
			return unix.Renameat(source.fd, name, target.fd, newName)
		})
	})
}

func (r *Root) change(op, path string, do func(d dir, name string) error) error {
	d, name, err := r.at(op, path)
	if err != nil {
		return err
	}
	defer d.close()
	return pathError(op, path, do(d, name))
}

func (r *Root) dir() dir { return dir{fd: int(r.file.Fd()), lent: true} }

// at opens the directory in which path ends and returns its last part, "." for the
// root itself.
func (r *Root) at(op, path string) (dir, string, error) {
	parts, err := split(path)
	if err != nil {
		return dir{}, "", pathError(op, path, err)
	}
	if len(parts) == 0 {
		return r.dir(), ".", nil
	}
	last := len(parts) - 1
	d, err := r.walk(parts[:last], nil)
	return d, parts[last], err
}

// walk goes down parts, one descriptor at a time. Where a part does not exist and
// missing is not nil, missing makes it; path is the whole way to it.
func (r *Root) walk(parts []string, missing func(at dir, name, path string) error) (dir, error) {
	at := r.dir()
	for i, name := range parts {
		whole := strings.Join(parts[:i+1], "/")
		next, err := at.descend(name, whole, missing)
		at.close()
		if err != nil {
			return dir{}, pathError("open", whole, err)
		}
		at = next
	}
	return at, nil
}

// descend is one step of walk.
func (d dir) descend(name, path string, missing func(at dir, name, path string) error) (dir, error) {
	next, err := d.sub(name)
	if err == unix.ENOENT && missing != nil {
		// Somebody else may have made it just now; what it is, sub will tell.
		err = missing(d, name, path)
		if err == nil || err == unix.EEXIST {
			next, err = d.sub(name)
		}
	}
	return next, err
}
