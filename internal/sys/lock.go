package sys

import (
	"errors"
	"fmt"
	"os"
)

// ErrLocked is what TryLock returns while another holds the lock.
var ErrLocked = errors.New("locked by another process")

// Lock is an exclusive lock on a file. It lives in the open file: it ends with
// Unlock or with the process, however that dies, and programs that the process
// starts do not inherit it.
type Lock struct {
	file *os.File
}

// TryLock locks an existing file, without waiting. It returns ErrLocked while
// somebody else, in this process or another, holds it, and fs.ErrNotExist when the
// file is missing or was removed or replaced meanwhile: a lock on a file that no
// longer has this name would keep nobody out. The path must not be a symbolic link.
func TryLock(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|NoFollow, 0)
	if err != nil {
		return nil, err
	}
	l := &Lock{file: file}
	if err := l.acquire(path); err != nil {
		_ = file.Close()
		return nil, err
	}
	return l, nil
}

func (l *Lock) acquire(path string) error {
	if err := setLock(l.file); err != nil {
		return err
	}
	return l.Check(path)
}

// Check returns nil while path names the locked file, and fs.ErrNotExist when it
// does not. A holder calls it after renaming the file's directory, too.
func (l *Lock) Check(path string) error {
	named, err := os.Lstat(path)
	if err != nil {
		return err
	}
	held, err := l.file.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(named, held) {
		return fmt.Errorf("lock %s was replaced: %w", path, os.ErrNotExist)
	}
	return nil
}

// Unlock ends the lock. A second call does nothing.
func (l *Lock) Unlock() error {
	if err := l.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Locked reports whether somebody holds the lock, this process included. On Linux
// it never takes the lock, so that a reader cannot make a TryLock elsewhere fail.
// A missing file is fs.ErrNotExist.
func Locked(path string) (bool, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|NoFollow, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	return queryLock(file)
}
