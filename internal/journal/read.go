package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// history is what a journal says.
type history struct {
	Entries []api.LogEntry // by sequence
	Skipped int            // lines that could not be read
}

// Read returns the newest commands of the workspace whose directory is dir, the
// oldest first: as many as last says, or all for 0; of those only that ran since the
// workspace was reset for the resets-th time, for All also before. A command whose end was not noted
// has exit code -1 and the reason api.EndedUnknown, see Unfinished. Where there is no
// journal there are no commands. What cannot be read of a journal is left out.
func Read(dir string, last, resets int) ([]api.LogEntry, error) {
	h, err := load(dir, last, resets)
	return h.Entries, err
}

// All has Read return commands whenever they ran.
const All = -1

// load is Read that also tells what it left out.
func load(dir string, last, resets int) (history, error) {
	files, err := snapshot(dir)
	defer closeAll(files)
	if err != nil {
		return history{}, sys.Explain("read history of "+filepath.Base(dir), err)
	}
	h := history{Entries: []api.LogEntry{}}
	index := newIndex()
	for _, f := range files {
		found, err := scan(f, func(h head, line span) {
			if resets == All || h.resets == resets {
				index.add(h, line)
			}
		})
		if err != nil {
			return history{}, sys.Explain("read history of "+filepath.Base(dir), err)
		}
		h.Skipped += found.skipped
	}
	for _, c := range index.newest(last) {
		line, err := c.line.read()
		if err != nil {
			return history{}, sys.Explain("read history of "+filepath.Base(dir), err)
		}
		if e, err := decode(line); err == nil {
			h.Entries = append(h.Entries, e)
		} else {
			h.Skipped++
		}
	}
	return h, nil
}

// index joins begins and ends without keeping what commands have printed.
type index struct {
	commands []command
	open     map[number]int // the command that has begun and not ended
}

// command is an entry to be: the line that says most about it.
type command struct {
	number
	line span
}

func newIndex() *index { return &index{open: map[number]int{}} }

func (x *index) add(h head, line span) {
	i, open := x.open[h.number]
	switch {
	case h.event == eventAgain && open:
		return
	case h.event == eventEnd && open:
		x.commands[i].line = line
		delete(x.open, h.number)
		return
	case h.event != eventEnd:
		x.open[h.number] = len(x.commands)
	}
	// An end alone tells as much; its begin was dropped, or there was no room for it.
	x.commands = append(x.commands, command{number: h.number, line: line})
}

// newest returns the last n commands in order, all for 0.
func (x *index) newest(n int) []command {
	slices.SortStableFunc(x.commands, func(a, b command) int { return a.compare(b.number) })
	if n > 0 && n < len(x.commands) {
		return x.commands[len(x.commands)-n:]
	}
	return x.commands
}

// snapshot opens the files of a journal as they were at one moment, the older first;
// those that are missing are left out.
func snapshot(dir string) ([]*os.File, error) {
	const attempts = 1000 // a rotation comes once in a file's length
	for range attempts {
		current, err := openFile(dir, currentName)
		if err != nil {
			return nil, err
		}
		older, err := openFile(dir, olderName)
		if err != nil {
			closeAll([]*os.File{current})
			return nil, err
		}
		// A file that has lost its name never gets it back, so at the moment between
		// these two checks both names were those of the files that are open.
		same := isStill(current, dir, currentName) && isStill(older, dir, olderName)
		files := slices.DeleteFunc([]*os.File{older, current}, func(f *os.File) bool { return f == nil })
		if same {
			return files, nil
		}
		closeAll(files)
	}
	return nil, &api.Error{Kind: api.Unavailable, Hint: "try again", Err: fmt.Errorf("it was replaced %d times while it was opened", attempts)}
}

// openFile opens a file for reading; nil where there is none.
func openFile(dir, name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDONLY|sys.NoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// isStill reports whether the name is that of an open file, or of none for nil.
func isStill(f *os.File, dir, name string) bool {
	named, err := os.Lstat(filepath.Join(dir, name))
	if f == nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	if err != nil {
		return false
	}
	held, err := f.Stat()
	return err == nil && os.SameFile(named, held)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}
