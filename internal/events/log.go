package events

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Log is the writer of a workspace's events. Its methods may be called concurrently.
type Log struct {
	dir   string
	limit int64 // of a file, in bytes

	mu      sync.Mutex
	file    *os.File // nil once it is closed, and after a failure until the next event
	size    int64
	torn    bool // it may end with half a line
	closed  bool
	last    int64
	recent  []api.Event   // the newest, without a gap up to last
	changed chan struct{} // closed at the next event, or at Close
}

// Open opens the log in a workspace's directory for writing; there is one writer, the
// holder of the workspace's lock. The caller closes it.
func Open(dir string) (*Log, error) {
	l := &Log{dir: dir, limit: maxFile, changed: make(chan struct{})}
	if err := l.open(); err != nil {
		return nil, l.explain(err)
	}
	for _, name := range []string{currentName, olderName} {
		if err := l.count(name); err != nil {
			_ = l.Close()
			return nil, l.explain(err)
		}
		if l.last > 0 {
			break
		}
	}
	return l, nil
}

// Append notes one event in the log of a workspace that has no writer, and whose lock
// the caller holds.
func Append(dir string, e api.Event) error {
	l, err := Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(l.Append(e), l.Close())
}

func (l *Log) explain(err error) error {
	return sys.Explain("write events of "+filepath.Base(l.dir), err)
}

func (l *Log) path(name string) string { return filepath.Join(l.dir, name) }

// count finds out how far a file has come.
func (l *Log) count(name string) error {
	f, err := os.OpenFile(l.path(name), os.O_RDONLY|sys.NoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	end, err := tail(f, 4*maxLine)
	for rest := end; len(rest) > 0 && l.last == 0; { // from the end on: the numbers rise
		begin := bytes.LastIndexByte(rest, '\n')
		if e, ok := decode(rest[begin+1:]); ok {
			l.last = e.Sequence
		}
		rest = rest[:max(begin, 0)]
	}
	if name == currentName {
		l.torn = len(end) > 0 && end[len(end)-1] != '\n'
	}
	return err
}

func (l *Log) open() error {
	f, err := os.OpenFile(l.path(currentName), os.O_WRONLY|os.O_CREATE|os.O_APPEND|sys.NoFollow, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(currentName + " is no file")
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Append gives an event its number and notes it. Those who follow see it also where it
// could not be written, as on a full disk. The error is for the log: nothing fails by it.
func (l *Log) Append(e api.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.explain(fs.ErrClosed)
	}
	e = clip(e)
	e.Sequence = l.last + 1
	line, err := encode(e)
	if err != nil {
		return l.explain(err)
	}
	l.last++
	if len(l.recent) == maxRecent {
		l.recent = slices.Delete(l.recent, 0, 1)
	}
	l.recent = append(l.recent, e)
	l.tell()
	return l.explain(l.write(line))
}

// tell wakes those who follow.
func (l *Log) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// write makes one write(2). Half a line that a failure left is ended by the next.
func (l *Log) write(line []byte) error {
	if err := fault.Error("events-write"); err != nil {
		return err
	}
	if l.size > 0 && l.size+int64(len(line)) > l.limit {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	if l.torn {
		line = slices.Concat([]byte("\n"), line)
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	l.torn = err != nil && (n > 0 || l.torn)
	return err
}

// rotate makes the current file the older one.
func (l *Log) rotate() error {
	err := os.Rename(l.path(currentName), l.path(olderName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody may have deleted it
		return err
	}
	l.release()
	return nil
}

func (l *Log) release() {
	if l.file != nil {
		_ = l.file.Close() // no data is written by it
	}
	l.file, l.size, l.torn = nil, 0, false
}

// News is what follows on an event.
type News struct {
	Events []api.Event
	More   <-chan struct{} // closed when there is more; nil: there never will be
}

// Since returns the events after the one of that number. It reads the disk only for what
// is older than the newest few hundred.
func (l *Log) Since(after int64) (News, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := News{More: l.changed}
	if l.closed {
		news.More = nil
	}
	first := l.last - int64(len(l.recent)) + 1
	if after >= first-1 {
		news.Events = slices.Clone(l.recent[min(after-first+1, int64(len(l.recent))):])
		return news, nil
	}
	older, err := Read(l.dir, after)
	if err != nil {
		return news, err
	}
	news.Events = append(slices.DeleteFunc(older, func(e api.Event) bool { return e.Sequence >= first }), l.recent...)
	return news, nil
}

// Close ends writing, and with that following; a second call does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.release()
	l.closed = true
	l.tell()
	return nil
}
