package cli

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
)

// target is a file of this machine that is there whole, or not at all.
type target struct {
	path  string // absolute
	force bool   // replace what is there
}

// newTarget looks whether the file can be made.
func newTarget(path string, force bool) (*target, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	t := &target{path: path, force: force}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t, nil
	case err != nil:
		return nil, t.fault(err)
	case info.IsDir():
		return nil, invalid("output "+quote(path)+" is a directory", "name a file in it")
	case !force:
		return nil, t.fault(fs.ErrExist)
	}
	return t, nil
}

// fault is an error about the target in our words.
func (t *target) fault(err error) error {
	kind, hint := api.Invalid, "name a file that you can write, where there is room for it"
	switch {
	case errors.Is(err, fs.ErrExist):
		kind, hint = api.Exists, "--force replaces it"
	case errors.Is(err, fs.ErrNotExist):
		kind, hint = api.NotFound, "make the directory first"
	case errors.Is(err, fs.ErrPermission):
		kind = api.Denied
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		err = l.Err
	}
	return &api.Error{Kind: kind, Hint: hint, Err: fmt.Errorf("output %s: %w", quote(t.path), err)}
}

// fill lets write make the content beside the target, and puts it in its place when it is
// whole.
func (t *target) fill(write func(io.Writer) (*api.FileRange, error)) (*api.FileRange, error) {
	var mark [6]byte
	_, _ = rand.Read(mark[:]) // never fails
	beside := filepath.Join(filepath.Dir(t.path), ".pyro-"+hex.EncodeToString(mark[:]))
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, t.fault(err)
	}
	defer func() { _ = os.Remove(beside) }()
	into := &faulty{to: f}
	got, err := write(into)
	if into.err != nil { // whoever wrote knows nothing of this file
		err = t.fault(into.err)
	}
	if closed := f.Close(); err == nil && closed != nil {
		err = t.fault(closed)
	}
	if err == nil {
		err = t.place(beside)
	}
	return got, err
}

// faulty notes the first error of a writer.
type faulty struct {
	to  io.Writer
	err error
}

// Write implements io.Writer.
func (w *faulty) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// place gives the file its name. That of another is taken by force alone.
func (t *target) place(beside string) error {
	if t.force {
		if err := os.Rename(beside, t.path); err != nil {
			return t.fault(err)
		}
		return nil
	}
	err := os.Link(beside, t.path)
	if err != nil && !errors.Is(err, fs.ErrExist) { // a file system without hard links
		if _, seen := os.Lstat(t.path); errors.Is(seen, fs.ErrNotExist) {
			err = os.Rename(beside, t.path)
		}
	}
	if err != nil {
		return t.fault(err)
	}
	return nil
}
