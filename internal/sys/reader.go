package sys

import (
	"context"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// readerPause is how long one look for the end of a reader lasts, and so how long after the
// end of its context [ReaderGone] ends.
const readerPause = 500 * time.Millisecond

// ReaderGone is closed when nobody can read any more what is written to f: the other end of
// a pipe or socket is closed, see poll(2) on POLLERR and POLLHUP. Of other files, and after
// the end of ctx, it never is. Who writes finds out anyway; this is for who waits to write.
func ReaderGone(ctx context.Context, f *os.File) <-chan struct{} {
	gone := make(chan struct{})
	info, err := f.Stat()
	if err != nil || info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) == 0 {
		return gone
	}
	go func() { // ends with ctx, or with the reader
		for ctx.Err() == nil {
			look := []unix.PollFd{{Fd: int32(f.Fd())}}
			n, err := unix.Poll(look, int(readerPause/time.Millisecond))
			switch {
			case err == unix.EINTR || err == unix.EAGAIN || err == nil && n == 0:
			case err == nil && look[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
				close(gone)
				return
			default:
				return
			}
		}
	}()
	return gone
}
