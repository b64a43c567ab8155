package archive

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// RenameNew moves what stands at from to the path to, where nothing may be (fs.ErrExist).
func (r *Root) RenameNew(from, to string) error {
	return r.change("rename", from, func(source dir, name string) error {
		return r.change("rename to", to, func(target dir, newName string) error {
			return renameNew(source, name, target, newName)
		})
	})
}

// Exchange swaps what stands at two paths in one step.
func (r *Root) Exchange(a, b string) error {
	return r.change("exchange", a, func(first dir, name string) error {
		return r.change("exchange with", b, func(second dir, other string) error {
			return exchange(first, name, second, other)
		})
	})
}

// Link gives the file or symlink at from a second name, where nothing may be.
func (r *Root) Link(from, to string) error {
	return r.change("link", from, func(source dir, name string) error {
		return r.change("link to", to, func(target dir, newName string) error {
			return unix.Linkat(source.fd, name, target.fd, newName, 0)
		})
	})
}

// Symlink makes a symlink at path. Its target is data.
func (r *Root) Symlink(target, path string) error {
	return r.change("symlink", path, func(d dir, name string) error {
		if err := checkTarget(target, Limits{}.withDefaults()); err != nil {
			return err
		}
		return unix.Symlinkat(target, d.fd, name)
	})
}

// Mkdir makes the directory at path, with perm less the umask.
func (r *Root) Mkdir(path string, perm fs.FileMode) error {
	return r.change("mkdir", path, func(d dir, name string) error {
		return unix.Mkdirat(d.fd, name, uint32(perm.Perm()))
	})
}

// Rmdir removes the empty directory at path.
func (r *Root) Rmdir(path string) error {
	return r.change("rmdir", path, func(d dir, name string) error { return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) })
}

// RemoveAll removes what stands at path with all that is in it; nothing there is no error.
func (r *Root) RemoveAll(path string) error {
	return r.change("remove", path, func(d dir, name string) error { return d.removeAll(name) })
}

// IsUnsupported reports whether an error is of a file system that has no such operation.
func IsUnsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP)
}

// IsNotDirectory reports whether an error is of a path that leads over what is none.
func IsNotDirectory(err error) bool { return errors.Is(err, unix.ENOTDIR) }
