package archive

import "golang.org/x/sys/unix"

// rename moves to a name that must be free.
func rename(from dir, name string, to dir, newName string) error {
	return unix.RenameatxNp(from.fd, name, to.fd, newName, unix.RENAME_EXCL)
}

// exchange swaps two names in one step. Few file systems cannot.
func exchange(from dir, name string, to dir, newName string) error {
	return unix.RenameatxNp(from.fd, name, to.fd, newName, unix.RENAME_SWAP)
}
