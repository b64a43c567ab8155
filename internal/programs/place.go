package programs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Unfinished begins the name of a directory that is being made or removed. One that
// a killed process left may be removed.
const Unfinished = ".new-"

// Place makes the directory name below base: fill writes its files, under a name of
// its own, and then it appears at once and whole, and survives a power cut. Who comes
// second finds it there, which is no error.
func Place(base, name string, fill func(dir string) error) error {
	temp, err := os.MkdirTemp(base, Unfinished)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if err := fill(temp); err != nil {
		return err
	}
	// Whatever the umask took away: other uids have to pass.
	if err := errors.Join(os.Chmod(temp, 0o755), sys.SyncDir(temp)); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(base, name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return sys.SyncDir(base)
}

// Write makes a new program that everybody may run, and waits until it is on the disk.
func Write(path string, from io.Reader) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	// Chmod, because the caller's umask may have taken what other uids need.
	return errors.Join(err, file.Chmod(0o755), file.Sync(), file.Close())
}

// Check refuses a program that another user could have put there or changed, or that
// has another size. A missing one is fs.ErrNotExist.
func Check(path string, size int64) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	return check(path, info, size)
}

func check(path string, info fs.FileInfo, size int64) error {
	if uid := sys.Owner(info); uid != os.Geteuid() || !info.Mode().IsRegular() || info.Mode().Perm()&0o022 != 0 || info.Size() != size {
		return fmt.Errorf("%s: unsafe: owner %d, mode %s, %d bytes", path, uid, info.Mode(), info.Size())
	}
	return nil
}
