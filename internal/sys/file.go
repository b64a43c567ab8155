package sys

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// NoFollow is an open(2) flag: a symbolic link as the last part of the path is an
// error.
const NoFollow = unix.O_NOFOLLOW

// Owner returns the user id that owns what info was read from, and -1 where info
// does not come from a file system.
func Owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// Inode returns the inode number, unique within its file system, and 0 where info
// does not come from a file system.
func Inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// SyncDir makes what was created, renamed and removed in a directory survive a
// power cut, see fsync(2): syncing a file does not sync its name.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		_ = dir.Close()
		return fmt.Errorf("sync directory %s: %w", path, err)
	}
	return dir.Close()
}

// FreeBytes returns how many bytes an ordinary user can still write to the file
// system of path, see statvfs(3).
func FreeBytes(path string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// Umask sets the mode bits that new files of this process do not get, and returns
// those that were set before, see umask(2). It is one setting for all threads, so
// it belongs in main.
func Umask(mask fs.FileMode) fs.FileMode {
	return fs.FileMode(unix.Umask(int(mask.Perm())))
}

// NoCoreFiles forbids core files of this process and of all that it starts, for good
// (RLIMIT_CORE, getrlimit(2)): they would hold whatever is in its memory.
func NoCoreFiles() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
