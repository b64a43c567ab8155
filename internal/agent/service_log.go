package agent

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/redact"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// serviceLog keeps the newest output of one stream in two files: when the current one
// is full it becomes the old one, and what was the old one is gone. The files are held
// open, so that nobody who changes names in their directory changes what is read.
type serviceLog struct {
	path string

	mu       sync.Mutex
	stream   *redact.Stream
	plain    []byte // what a piece of output is without secrets; used again for the next
	settle   *time.Timer
	old, cur *os.File
	oldSize  int64
	curSize  int64
	half     int64         // the most that one of the two files holds, in bytes
	start    int64         // of what is kept, counted from the first byte ever
	changed  chan struct{} // closed at the next write
	closed   bool
}

const (
	// logHalf is the most that one of the two files of a log holds, in bytes.
	logHalf = wire.MaxServiceLog / 2

	// logSpace is what all logs together take of the run directory, which secrets are in,
	// too: half of what it has at the least.
	logSpace = 32 << 20
)

func newServiceLog(path string) (*serviceLog, error) {
	_ = os.Remove(path + ".1")
	f, err := createLog(path)
	if err != nil {
		return nil, err
	}
	l := &serviceLog{path: path, cur: f, half: logHalf, stream: redact.NewStream(nil), changed: make(chan struct{})}
	l.settle = time.AfterFunc(time.Hour, l.release)
	l.settle.Stop()
	return l, nil
}

// hide says what is taken out of the output from now on.
func (l *serviceLog) hide(set *redact.Set) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream.Use(set)
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
	l.plain = l.stream.Append(l.plain[:0], p)
	l.keep(l.plain)
	if l.stream.Held() > 0 {
		l.settle.Reset(settleTime)
	}
	return len(p), nil
}

// release keeps what is held back and short.
func (l *serviceLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(l.stream.Release(nil))
}

// flush keeps all that is held back: the program has ended.
func (l *serviceLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle.Stop()
	l.keep(l.stream.Flush(nil))
}

// keep adds output without secrets. It is called with the lock.
func (l *serviceLog) keep(text []byte) {
	if l.closed || len(text) == 0 {
		return
	}
	for rest := text; len(rest) > 0; {
		if l.curSize >= l.half && !l.rotate() {
			break
		}
		n, err := l.cur.WriteAt(rest[:min(int64(len(rest)), l.half-l.curSize)], l.curSize)
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

// narrow bounds what is kept. Where it is more already the newest stays.
func (l *serviceLog) narrow(half int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.half = min(half, logHalf)
	if l.closed || l.oldSize <= l.half && l.curSize <= l.half {
		return
	}
	if l.old != nil {
		_ = l.old.Close()
		_ = os.Remove(l.path + ".1")
	}
	end := l.start + l.oldSize + l.curSize
	newest := make([]byte, min(l.half, l.curSize))
	n, _ := l.cur.ReadAt(newest, l.curSize-int64(len(newest)))
	_ = l.cur.Truncate(0)
	n, _ = l.cur.WriteAt(newest[:n], 0)
	l.old, l.oldSize, l.curSize = nil, 0, int64(n)
	l.start = end - l.curSize
}

func (l *serviceLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	l.settle.Stop()
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
