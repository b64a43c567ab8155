package archive

import "golang.org/x/sys/unix"

// renameNew moves to a name that must be free, on file systems too whose rename cannot
// promise that (NFS, some of FUSE): a link is not made over anything, and a directory
// replaces none but the empty one that was just made for it.
func renameNew(from dir, name string, to dir, newName string) error {
	err := rename(from, name, to, newName)
	if err != unix.EINVAL && err != unix.ENOSYS && err != unix.ENOTSUP {
		return err
	}
	return renameByClaim(from, name, to, newName)
}

func renameByClaim(from dir, name string, to dir, newName string) error {
	s, err := from.lstat(name)
	if err != nil {
		return err
	}
	if s.kind != KindDirectory {
		if err := unix.Linkat(from.fd, name, to.fd, newName, 0); err != nil {
			return err
		}
		return unix.Unlinkat(from.fd, name, 0)
	}
	if err := unix.Mkdirat(to.fd, newName, 0o700); err != nil {
		return err
	}
	err = unix.Renameat(from.fd, name, to.fd, newName)
	if err != nil {
		_ = unix.Unlinkat(to.fd, newName, unix.AT_REMOVEDIR) // if it is still the empty one
	}
	return err
}
