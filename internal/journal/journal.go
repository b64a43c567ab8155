package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Journal is the writer of a workspace's history. Its methods may be called
// concurrently; their errors are for the log, a command does not fail by them.
type Journal struct {
	dir   string
	limit int64 // of a file, in bytes
	open  func(path string) (file, error)

	mu      sync.Mutex
	closed  bool
	file    file                    // nil until the next line
	size    int64                   // of the current file
	torn    bool                    // it ends with half a line
	running map[number]api.LogEntry // begun here and not ended
	resets  int                     // of the workspace, so far
	last    int                     // the highest sequence since the last of them
}

// file is the current file, opened to append.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

func appendTo(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|sys.NoFollow, 0o600)
}

// Open opens the journal in a workspace's directory for writing; there is one writer,
// the holder of the workspace's lock. resets is how often the workspace was reset. It cuts off half a line that a killed one left.
// The caller closes it.
func Open(dir string, resets int) (*Journal, error) {
	j := &Journal{dir: dir, limit: maxFile, open: appendTo, running: map[number]api.LogEntry{}, resets: resets}
	if err := j.repair(); err != nil {
		return nil, sys.Explain("open "+j.String(), err)
	}
	return j, nil
}

// String names the journal in errors.
func (j *Journal) String() string { return "history of " + filepath.Base(j.dir) }

func (j *Journal) path(name string) string { return filepath.Join(j.dir, name) }

// repair finds out how far the journal has come.
func (j *Journal) repair() error {
	files, err := snapshot(j.dir)
	if err != nil {
		return err
	}
	defer closeAll(files)
	var whole int64
	for _, f := range files {
		found, err := scan(f, func(h head, _ span) { j.saw(h.number) })
		if err != nil {
			return err
		}
		whole = found.whole
	}
	if err := j.reopen(); err != nil {
		return err
	}
	if len(files) > 0 && filepath.Base(files[len(files)-1].Name()) == currentName && whole < j.size {
		j.cut(whole)
	}
	return nil
}

// saw remembers the highest sequence since the last reset.
func (j *Journal) saw(n number) {
	if n.resets == j.resets {
		j.last = max(j.last, n.sequence)
	}
}

// Reset says that the workspace was reset once more: sequences begin at 1 again. What
// was noted before stays, and commands of before may still end.
func (j *Journal) Reset(resets int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.resets, j.last = resets, 0
}

// LastSequence is the highest sequence that was noted since the last reset, 0 for none. It may
// be higher than the one in the workspace's record, which is written later; the next
// command must not have one that was used.
func (j *Journal) LastSequence() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Begin notes that a command is about to run. Of e it keeps what is known by then:
// resets and sequence (from 1, each used once), command, directory, mode and time.
func (j *Journal) Begin(e api.LogEntry) error {
	e = api.LogEntry{
		LastCommand: api.LastCommand{
			Sequence: e.Sequence, Command: e.Command, Cwd: e.Cwd, ExitCode: unknownExit, ExecutionMode: e.ExecutionMode,
		},
		RecordedAt: e.RecordedAt, ResetCount: e.ResetCount,
	}
	e.Command, _ = Clip(e.Command, MaxCommand)
	if err := j.note(eventBegin, e); err != nil {
		return err
	}
	fault.Hit("journal-begin")
	return nil
}

// End notes how a command ended. It takes the place of what Begin noted, and stands
// for itself where that failed. Outputs are kept up to MaxStream each, by Clip.
func (j *Journal) End(e api.LogEntry) error {
	if err := j.note(eventEnd, e); err != nil {
		return err
	}
	fault.Hit("journal-end")
	return nil
}

func (j *Journal) note(event string, e api.LogEntry) error {
	line, err := encode(event, e)
	if err != nil {
		return &api.Error{Kind: api.Internal, Op: "write " + j.String(), Err: err}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if event == eventEnd {
		delete(j.running, numberOf(&e))
	}
	if err := j.put(line); err != nil {
		return sys.Explain("write "+j.String(), err)
	}
	if event == eventBegin {
		j.running[numberOf(&e)] = e
	}
	j.saw(numberOf(&e))
	return nil
}

// put writes a line to the current file, or to the next one where that is full.
func (j *Journal) put(line []byte) error {
	if j.closed {
		return fs.ErrClosed
	}
	if err := fault.Error("journal-write"); err != nil {
		return err
	}
	if j.file == nil {
		if err := j.reopen(); err != nil {
			return err
		}
	}
	if j.size > 0 && j.size+int64(len(line)) > j.limit {
		if err := j.rotate(); err != nil {
			return err
		}
	}
	return j.write(line)
}

// write makes one write(2). Where that fails in the middle of the line, as on a full
// disk, the half is taken back or the next line begins with a line break.
func (j *Journal) write(line []byte) error {
	if j.torn {
		line = slices.Concat([]byte("\n"), line)
	}
	n, err := j.file.Write(line)
	j.size += int64(n)
	if err == nil {
		j.torn = false
	} else if n > 0 {
		j.cut(j.size - int64(n))
	}
	return err
}

// cut takes back what lies behind size. A reader that has half a line of it in hand
// and goes on with the next one notices by the sum.
func (j *Journal) cut(size int64) {
	if j.file.Truncate(size) == nil {
		j.size = size
	} else {
		j.torn = true
	}
}

func (j *Journal) reopen() error {
	f, err := j.open(j.path(currentName))
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", currentName)
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	j.file, j.size = f, info.Size()
	return nil
}

// rotate makes the current file the older one, in whose place nothing was lost yet
// but the oldest lines. Commands that run are noted again, so that they are known
// for as long as they run.
func (j *Journal) rotate() error {
	err := os.Rename(j.path(currentName), j.path(olderName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody may have deleted it
		return err
	}
	j.release()
	if err := j.reopen(); err != nil {
		return err
	}
	for _, n := range slices.SortedFunc(maps.Keys(j.running), number.compare) {
		line, err := encode(eventAgain, j.running[n])
		if err != nil || j.size+int64(len(line)) > j.limit/4 {
			continue
		}
		if err := j.write(line); err != nil {
			return err
		}
	}
	return nil
}

// release closes the current file; the next line opens the one that has its name.
func (j *Journal) release() {
	if j.file != nil {
		_ = j.file.Close() // no data is written by it
	}
	j.file, j.size, j.torn = nil, 0, false
}

// Clear removes the whole history, that of running commands too: they come back when
// they end. After an error some of it may be left.
func (j *Journal) Clear() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return sys.Explain("clear "+j.String(), fs.ErrClosed)
	}
	j.release()
	for _, name := range []string{olderName, currentName} {
		if err := os.Remove(j.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return sys.Explain("clear "+j.String(), err)
		}
	}
	clear(j.running)
	j.last = 0
	return nil
}

// Close ends writing; a second call does nothing. What was noted is there already.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.release()
	j.closed = true
	return nil
}
