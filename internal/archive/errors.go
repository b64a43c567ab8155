package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"
)

// What errors of this package can be asked for with errors.Is, beside
// fs.ErrNotExist, fs.ErrExist (something of another type stands there) and
// fs.ErrPermission.
var (
	// ErrEscapes: a path that is absolute or has a part "..".
	ErrEscapes = errors.New("path leads outside")
	// ErrName: a name that no file can have.
	ErrName = errors.New("not a file name")
	// ErrSymlink: a symbolic link stands where a path would have to go through it,
	// or is itself what was to be opened or replaced.
	ErrSymlink = errors.New("a symbolic link stands in the way")
	// ErrSpecial: a device, FIFO or socket.
	ErrSpecial = errors.New("neither a file, a directory nor a symbolic link")
	// ErrLink: a link in an archive that may not hold it, or a hard link to
	// something that is not an earlier file of the same archive.
	ErrLink = errors.New("link not allowed")
	// ErrLimit: more than Limits allow.
	ErrLimit = errors.New("over the limit")
	// ErrFormat: the bytes are not a whole and sound archive, or end early.
	ErrFormat = errors.New("archive cannot be read")
	// ErrChanged: a file changed under Pack in a way that no member can tell.
	ErrChanged = errors.New("changed while it was read")
)

// maxQuoted bounds what an error repeats of a name, in bytes; the name comes from
// the other side of the wall.
const maxQuoted = 256

// quote makes a name fit for an error: no control bytes, no endless length.
func quote(name string) string {
	if len(name) > maxQuoted {
		return strconv.Quote(name[:maxQuoted]) + "…"
	}
	return strconv.Quote(name)
}

func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	// The kernel says "no such file or directory"; callers show this text, and
	// their readers look for "does not exist".
	if err == unix.ENOENT {
		err = fs.ErrNotExist
	}
	return fmt.Errorf("%s %s: %w", op, quote(path), err)
}
