package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// RemoveTree removes base/name and all below it. It never leaves base, whatever
// symbolic links a sandbox made, and refuses a tree with something mounted in it,
// whose contents are not ours: api.Conflict. A name that does not exist is removed.
func RemoveTree(base, name string) error {
	base, err := filepath.EvalSymlinks(base) // as the kernel names mount points
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	path := filepath.Join(base, name)
	mounts, err := sys.MountsAt(path)
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return &api.Error{Kind: api.Conflict, Hint: "unmount it first", Err: fmt.Errorf("%s is a mount point", mounts[0])}
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	err = root.RemoveAll(name)
	if sys.IsDenied(err) {
		unlock(root, name)
		err = root.RemoveAll(name)
	}
	return err
}

// unlock opens directories that their owner closed to himself, such as those of
// mode 0. What it cannot open shows when it is removed.
func unlock(root *os.Root, name string) {
	_ = fs.WalkDir(root.FS(), filepath.ToSlash(name), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil
		}
		// Called before the directory is read.
		_ = root.Chmod(path, 0o700)
		return nil
	})
}
