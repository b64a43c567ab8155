package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// maxFile is the largest file of settings that is read, in bytes. That of Claude Code
// remembers much and has some.
const maxFile = 32 << 20

// backupMark stands between the name of a file and the time of its copy.
const backupMark = ".pyro-backup-"

// file is a file of settings as it was found.
type file struct {
	path   string // as the host knows it
	target string // the same, links followed
	data   []byte
	mode   fs.FileMode
	absent bool
}

// read reads a file of settings; that there is none is no error.
func read(path string) (*file, error) {
	f := &file{path: path, target: path, mode: 0o600}
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return nil, unreadable(path, "is a link to nothing", "make the file that it leads to, or remove the link")
		}
		f.absent = true
		return f, nil
	}
	if err != nil {
		return nil, unreadable(path, causeOf(err), "look at the path")
	}
	f.target = target
	info, err := os.Stat(target)
	switch {
	case err != nil:
		return nil, unreadable(path, causeOf(err), "look at the path")
	case !info.Mode().IsRegular():
		return nil, unreadable(path, "is not a file", "look at the path")
	case info.Size() > maxFile:
		return nil, unreadable(path, fmt.Sprintf("has %d bytes, at most %d are read", info.Size(), maxFile), "look at what is in it")
	}
	f.mode = info.Mode().Perm()
	from, err := os.Open(target)
	if err != nil {
		return nil, unreadable(path, causeOf(err), "make it readable")
	}
	defer func() { _ = from.Close() }()
	if f.data, err = io.ReadAll(io.LimitReader(from, maxFile)); err != nil {
		return nil, unreadable(path, causeOf(err), "make it readable")
	}
	return f, nil
}

// within refuses a file that links lead out of a directory. One that is not there yet lies
// where the next directory above it that is there leads.
func (f *file) within(root string) error {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return unreadable(root, causeOf(err), "look at the path")
	}
	at := f.target
	for f.absent && !exists(at) && at != filepath.Dir(at) {
		at = filepath.Dir(at)
	}
	if at, err = filepath.EvalSymlinks(at); err != nil {
		return unreadable(f.path, causeOf(err), "look at the path")
	}
	if at != root && !strings.HasPrefix(at, strings.TrimSuffix(root, "/")+"/") {
		return unreadable(f.path, "leads out of the project, to "+at, "look at who made the link, or use --scope user")
	}
	return nil
}

func unreadable(path, what, hint string) error {
	return &api.Error{Kind: api.Denied, Hint: hint, Err: fmt.Errorf("%s: %s", path, what)}
}

// causeOf is an error of the operating system without the path, which stands before it.
func causeOf(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// same reports whether the file is still as it was found.
func (f *file) same() error {
	now, err := read(f.path)
	if err != nil {
		return err
	}
	if now.absent != f.absent || now.target != f.target || !bytes.Equal(now.data, f.data) {
		return &api.Error{
			Kind: api.Conflict, Hint: "run it again; it looks at the file anew",
			Err: fmt.Errorf("%s was changed meanwhile", f.path),
		}
	}
	return nil
}

// writable refuses what its owner made read-only, though a new file could take its place.
func (f *file) writable() error {
	denied := func(why string) error {
		return &api.Error{
			Kind: api.Denied, Err: fmt.Errorf("%s: %s", f.path, why),
			Hint: "`pyro host print-config` shows what to write where the file comes from",
		}
	}
	if f.absent {
		return nil
	}
	if f.mode&0o200 == 0 {
		return denied("is read-only")
	}
	to, err := os.OpenFile(f.target, os.O_WRONLY, 0)
	if err != nil {
		return denied(causeOf(err))
	}
	return to.Close()
}

// backup copies the file as it is, and returns the path of the copy.
func (f *file) backup() (string, error) {
	stem := f.path + backupMark + time.Now().UTC().Format("20060102T150405Z")
	for i := range 100 {
		path := stem
		if i > 0 {
			path = fmt.Sprintf("%s-%d", stem, i+1)
		}
		to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", failed(path, err)
		}
		_, err = to.Write(f.data)
		if err = errors.Join(err, to.Chmod(f.mode), to.Close()); err != nil {
			_ = os.Remove(path)
			return "", failed(path, err)
		}
		return path, nil
	}
	return "", failed(stem, fs.ErrExist)
}

// backups are the copies of the file that are there, the last one first.
func (f *file) backups() []string {
	found, err := filepath.Glob(escape(f.path) + backupMark + "*")
	if err != nil {
		return nil
	}
	slices.Sort(found)
	slices.Reverse(found)
	return found
}

// escape makes a path a pattern that means itself.
func escape(path string) string {
	var b bytes.Buffer
	for _, c := range []byte(path) {
		if bytes.IndexByte([]byte(`*?[\`), c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// replace puts data in the place of the file in one step.
func (f *file) replace(data []byte) error {
	dir := filepath.Dir(f.target)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return failed(dir, err)
	}
	temp, err := os.CreateTemp(dir, ".pyro-new-*")
	if err != nil {
		return failed(dir, err)
	}
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Chmod(f.mode), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), f.target)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
		return failed(f.path, err)
	}
	return nil
}

func failed(path string, err error) error {
	return &api.Error{
		Kind: api.Denied, Hint: "nothing was changed; look at who may write there",
		Err: fmt.Errorf("%s: %s", path, causeOf(err)),
	}
}
