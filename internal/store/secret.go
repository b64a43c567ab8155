package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// SecretsDir is where a workspace's secrets lie, below its directory: a file each. They
// are overwritten before the workspace is removed.
const SecretsDir = "secrets"

// Overwrite writes zeros over a file and removes it. A file system that never writes in
// place keeps the old bytes until it uses them again.
func Overwrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|sys.NoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = blank(f)
	}
	return errors.Join(err, os.Remove(path))
}

// blank writes zeros over a file and closes it.
func blank(f *os.File) error {
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		_, err = f.Write(make([]byte, info.Size()))
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// Supersede puts the file fresh in the place of path and overwrites what was there. At any
// moment one of the two is whole and has its name.
func Supersede(path, fresh string) error {
	old, err := os.OpenFile(path, os.O_WRONLY|sys.NoFollow, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = os.Rename(fresh, path)
	switch {
	case old == nil:
		return err
	case err != nil:
		return errors.Join(err, old.Close())
	}
	return blank(old)
}

// overwriteSecrets is best effort: what it cannot overwrite is removed with the rest.
func overwriteSecrets(workspace string) {
	found, _ := filepath.Glob(filepath.Join(workspace, SecretsDir, "*"))
	for _, path := range found {
		_ = Overwrite(path)
	}
}
