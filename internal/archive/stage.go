package archive

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// stagePrefix begins the names of stages; then come the place that one is for, hashed,
// and what tells it from others.
const stagePrefix = ".pyro-export-"

// Stage is where something is made that is to appear at a place whole or not at all: a
// private directory beside that place. Nothing is found by its path again once the stage
// is open, so it does not matter who renames what around it.
//
// A process that dies leaves its stage behind, locked by nobody. The next one for the
// same place removes it.
type Stage struct {
	parent *Root // where the place is
	base   string
	name   string // of the stage, in parent
	own    *os.File
}

// staged is the name, in a stage, of what is made.
const staged = "new"

// OpenStage makes a stage for path, whose directory is the caller's own: links in it are
// followed, this once. The caller closes it.
func OpenStage(path string) (*Stage, error) {
	base := filepath.Base(path)
	if base == "." || base == ".." || base == "/" {
		return nil, pathError("make", path, fmt.Errorf("%w: it names a directory that is there", fs.ErrExist))
	}
	parent, err := OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	s := &Stage{parent: parent, base: base}
	if err := errors.Join(s.sweep(), s.make()); err != nil {
		_ = parent.Close()
		return nil, pathError("make", path, err)
	}
	return s, nil
}

// prefix begins the names of all stages for the same place.
func (s *Stage) prefix() string {
	sum := sha256.Sum256([]byte(s.base))
	return stagePrefix + hex.EncodeToString(sum[:8]) + "-"
}

// sweep removes the stages of processes that have died.
func (s *Stage) sweep() error {
	at := s.parent.dir()
	names, err := at.names(math.MaxInt - 1)
	if errors.Is(err, fs.ErrPermission) { // of a directory that may not be listed nothing is known
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, s.prefix()) {
			continue
		}
		if err := removeStage(at, name); err != nil {
			return fmt.Errorf("remove %s, which an export left behind: %w", name, err)
		}
	}
	return nil
}

// removeStage removes one that is ours and nobody's.
func removeStage(at dir, name string) error {
	f, err := lockedStage(at, name)
	if f == nil {
		return err
	}
	defer f.Close()
	return at.removeAll(name)
}

// lockedStage opens a stage and locks it; nil: it is not ours, or somebody is at it.
func lockedStage(at dir, name string) (*os.File, error) {
	f, _, err := at.list(name)
	if err != nil {
		if err == unix.ENOENT || err == ErrSymlink || err == unix.ENOTDIR || err == unix.EACCES {
			err = nil
		}
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &st)
	if err != nil || int(st.Uid) != os.Geteuid() || unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// make makes the stage itself. Between making and locking it another process may have
// taken it for one that was left behind.
func (s *Stage) make() error {
	at := s.parent.dir()
	for range 10 {
		s.name = s.prefix() + rand.Text()
		if err := unix.Mkdirat(at.fd, s.name, 0o700); err != nil {
			return err
		}
		f, _, err := at.list(s.name)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return err
		}
		// A file system without such locks leaves what dies to whoever finds it.
		_ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		mine, err := fstat(int(f.Fd()))
		there, thereErr := at.lstat(s.name)
		if err == nil && thereErr == nil && mine.id == there.id {
			s.own = f
			return nil
		}
		_ = f.Close()
	}
	return fmt.Errorf("%s was removed by somebody else", s.name)
}

func (s *Stage) dir() dir { return dir{fd: int(s.own.Fd()), lent: true} }

// Dir makes the directory that is to be filled, with the mode that the umask allows and
// never less than its owner needs. The caller closes it.
func (s *Stage) Dir() (*Root, error) {
	at := s.dir()
	if err := unix.Mkdirat(at.fd, staged, 0o777); err != nil {
		return nil, pathError("make", staged, err)
	}
	f, st, err := at.list(staged)
	if err == nil && st.mode&0o700 != 0o700 {
		err = unix.Fchmod(int(f.Fd()), st.mode|0o700)
	}
	if err != nil {
		return nil, pathError("make", staged, err)
	}
	return &Root{file: f}, nil
}

// File makes the file that is to be filled, with the mode that the umask allows. The
// caller closes it.
func (s *Stage) File() (*os.File, error) {
	fd, err := s.dir().create(staged, 0o666)
	if err != nil {
		return nil, pathError("make", staged, err)
	}
	return os.NewFile(uintptr(fd), staged), nil
}

// Publish puts what was made in its place: the file, the directory, or where only is not
// empty that one thing in the directory. With replace it takes the place of what is there,
// which is removed; else that is fs.ErrExist, and stays. Either is one step: nobody sees
// less than the whole.
func (s *Stage) Publish(only string, replace bool) error {
	from, name := s.dir(), staged
	if only != "" {
		sub, err := from.sub(staged)
		if err != nil {
			return pathError("open", staged, err)
		}
		defer sub.close()
		from, name = sub, only
	}
	return pathError("make", s.base, publish(from, name, s.parent.dir(), s.base, replace))
}

func publish(from dir, name string, to dir, base string, replace bool) error {
	err := renameNew(from, name, to, base)
	if err != unix.EEXIST || !replace {
		return err
	}
	fresh, err := from.lstat(name)
	if err != nil {
		return err
	}
	old, err := to.lstat(base)
	switch {
	case err == unix.ENOENT:
		return renameNew(from, name, to, base)
	case err != nil:
		return err
	case fresh.kind != KindDirectory && old.kind != KindDirectory:
		return unix.Renameat(from.fd, name, to.fd, base)
	}
	return exchange(from, name, to, base) // what was there goes with the stage
}

// Close removes the stage with all that is in it. It may be called again.
func (s *Stage) Close() error {
	if s.own == nil {
		return nil
	}
	at := s.parent.dir()
	var err error
	// Only if it is still the same: it is found by its name.
	if mine, ownErr := fstat(int(s.own.Fd())); ownErr == nil {
		if there, thereErr := at.lstat(s.name); thereErr == nil && there.id == mine.id {
			err = at.removeAll(s.name)
		}
	}
	err = errors.Join(err, s.own.Close(), s.parent.Close())
	s.own = nil
	return pathError("remove", s.name, err)
}

// removeAll removes name and all that is in it, what may not be listed too. What
// vanishes meanwhile is removed.
func (d dir) removeAll(name string) error {
	err := unix.Unlinkat(d.fd, name, 0)
	switch err {
	case nil, unix.ENOENT:
		return nil
	case unix.EISDIR, unix.EPERM, unix.EACCES: // which of them a directory gives differs between systems
	default:
		return err
	}
	if s, statErr := d.lstat(name); statErr != nil || s.kind != KindDirectory {
		return err
	}
	f, s, err := d.list(name)
	if err == unix.EACCES {
		// It was a directory a moment ago, in one that is ours alone.
		if err := unix.Fchmodat(d.fd, name, 0o700, 0); err != nil {
			return err
		}
		f, s, err = d.list(name)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if s.mode&0o700 != 0o700 {
		_ = unix.Fchmod(int(f.Fd()), 0o700) // or what is in it cannot be removed, which is then said
	}
	if err := (dir{fd: int(f.Fd()), lent: true}).removeContent(); err != nil {
		return err
	}
	return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
}

func (d dir) removeContent() error {
	names, err := d.names(math.MaxInt - 1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := d.removeAll(name); err != nil {
			return pathError("remove", name, err)
		}
	}
	return nil
}
