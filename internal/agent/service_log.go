package agent

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// serviceLog keeps the newest output of one stream in two files: when the current one
// is full it becomes the old one, and what was the old one is gone. The files are held
// open, so that nobody who changes names in their directory changes what is read.
type serviceLog struct {
	path string

	mu       sync.Mutex
	old, cur *os.File
	oldSize  int64
	curSize  int64
	start    int64         // of what is kept, counted from the first byte ever
	changed  chan struct{} // closed at the next write
	closed   bool
}

// logHalf is the most that one of the two files holds, in bytes.
const logHalf = wire.MaxServiceLog / 2

func newServiceLog(path string) (*serviceLog, error) {
	_ = os.Remove(path + ".1")
	f, err := createLog(path)
	if err != nil {
		return nil, err
	}
	return &serviceLog{path: path, cur: f, changed: make(chan struct{})}, nil
}

func createLog(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
}

// Write implements io.Writer. It takes everything: a service is not held up because its
// log cannot be kept, and what cannot be kept is lost.
func (l *serviceLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(p), nil
	}
	for rest := p; len(rest) > 0; {
		if l.curSize >= logHalf && !l.rotate() {
			break
		}
		n, err := l.cur.WriteAt(rest[:min(int64(len(rest)), logHalf-l.curSize)], l.curSize)
		l.curSize += int64(n)
		rest = rest[n:]
		if err != nil { // the disk is full: room is made by giving up the old file
			if l.oldSize == 0 || !l.rotate() {
				break
			}
		}
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

// rotate makes the current file the old one.
func (l *serviceLog) rotate() bool {
	_ = os.Rename(l.path, l.path+".1")
	fresh, err := createLog(l.path)
	if err != nil {
		return false
	}
	if l.old != nil {
		_ = l.old.Close()
	}
	l.start += l.oldSize
	l.old, l.oldSize = l.cur, l.curSize
	l.cur, l.curSize = fresh, 0
	return true
}

func (l *serviceLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	_ = l.cur.Close()
	if l.old != nil {
		_ = l.old.Close()
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// read returns up to limit bytes from offset on, counted from the first byte ever, or
// from where what is kept begins. next is the offset behind them, and more is closed
// when something is added.
func (l *serviceLog) read(offset int64, limit int) (data []byte, next int64, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	offset = max(offset, l.start)
	middle := l.start + l.oldSize
	f, at, left := l.cur, offset-middle, middle+l.curSize-offset
	if offset < middle {
		f, at, left = l.old, offset-l.start, middle-offset
	}
	if l.closed || left <= 0 {
		return nil, offset, l.changed
	}
	data = make([]byte, min(left, int64(limit)))
	n, err := f.ReadAt(data, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, offset, l.changed
	}
	return data[:n], offset + int64(n), l.changed
}

// all is everything that is kept.
func (l *serviceLog) all() (data []byte, start int64) {
	for next := int64(0); ; {
		piece, after, _ := l.read(next, logHalf)
		if len(piece) == 0 {
			return data, start
		}
		if begin := after - int64(len(piece)); len(data) == 0 || begin != next { // older output was lost meanwhile
			data, start = data[:0], begin
		}
		data, next = append(data, piece...), after
	}
}

// tail is the last lines of what is kept, or all of it where lines is negative. cut
// reports whether more was printed.
func (l *serviceLog) tail(lines int) (text string, cut bool) {
	data, start := l.all()
	from := lastLines(data, lines)
	return strings.ToValidUTF8(string(data[from:]), "\uFFFD"), from > 0 || start > 0
}

// lastLines is where the last n lines begin.
func lastLines(data []byte, n int) int {
	switch {
	case n < 0:
		return 0
	case n == 0:
		return len(data)
	}
	end := len(data)
	if end > 0 && data[end-1] == '\n' {
		end--
	}
	for ; n > 0; n-- {
		i := bytes.LastIndexByte(data[:end], '\n')
		if i < 0 {
			return 0
		}
		end = i
	}
	return end + 1
}
