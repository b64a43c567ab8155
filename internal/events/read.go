package events

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Read returns the events of the workspace whose directory is dir that came after the
// one of that number, 0 for all that are kept, the oldest first. Where there is no log
// there are none. What cannot be read of it is left out.
func Read(dir string, after int64) ([]api.Event, error) {
	var lines []byte
	for _, name := range []string{currentName, olderName} { // so that none is missed where they move in between
		data, err := load(filepath.Join(dir, name))
		if err != nil {
			return nil, sys.Explain("read events of "+filepath.Base(dir), err)
		}
		lines = append(append(lines, data...), '\n') // the last may be half a line
	}
	events := []api.Event{}
	for line := range bytes.SplitSeq(lines, []byte("\n")) {
		if e, ok := decode(line); ok && e.Sequence > after {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b api.Event) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return slices.CompactFunc(events, func(a, b api.Event) bool { return a.Sequence == b.Sequence }), nil
}

// load reads one file; of one longer than any of ours the end.
func load(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|sys.NoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return tail(f, maxFile+maxLine)
}

// tail reads the last bytes of a regular file, at most limit.
func tail(f *os.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New(filepath.Base(f.Name()) + " is no file")
	}
	start := max(0, info.Size()-limit)
	return io.ReadAll(io.NewSectionReader(f, start, info.Size()-start))
}
