package applyback

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// areaPrefix begins the names of areas. No change may touch one.
const areaPrefix = ".pyro-apply-"

// trialSuffix is behind the name of an area in the state directory: of a file that is
// locked for as long as its process lives.
const trialSuffix = ".trial"

// Area is where changes lie until they are made: a directory in the one that they are for,
// or, where no file of that is to be touched, in the state directory. It is for one
// goroutine.
type Area struct {
	dir     string // that the changes are for; absolute, without symlinks
	root    *archive.Root
	place   *archive.Root // where the area lies: root, or that of another directory
	at      string        // the directory of place, absolute
	name    string        // of the area, in place
	there   bool          // the area was made; where that is forbidden, so may be removing it
	own     *archive.Root // the area itself
	spool   *os.File      // in it, what was taken: a file for each would cost more than the rest
	spooled int64         // bytes
	journal *journal      // nil: no file of the directory will be touched
	trial   *sys.Lock     // the other way round
	git     *git          // nil: the directory is in no work tree, or there is no git
	changes []Change
	bases   bool   // of the changes it is told what files held before
	made    int    // things in the area, beside what was taken
	umask   uint32 // that of this process
	buf     []byte
}

// Config says what an area is for.
type Config struct {
	Dir       string   // that the changes are for: absolute, and there
	StateDir  string   // a private directory, for the journal
	Untouched bool     // no file of Dir will be touched: a trial, or a branch
	Env       []string // where git finds itself and its user: PATH, HOME, XDG_CONFIG_HOME, TMPDIR
}

// Open takes back what a process that died did in the directory, and makes an area for it.
// api.Conflict says that another is at it, or that something cannot be taken back. The
// caller closes it.
func Open(ctx context.Context, cfg Config) (*Area, error) {
	dir, err := filepath.EvalSymlinks(cfg.Dir)
	if err != nil {
		return nil, err
	}
	a := &Area{dir: dir, name: areaPrefix + rand.Text(), bases: true, buf: make([]byte, 256<<10)}
	if a.root, err = archive.OpenRoot(dir); err != nil {
		return nil, err
	}
	if err = a.prepare(ctx, cfg); err != nil {
		_ = a.Close()
		return nil, err
	}
	return a, nil
}

func (a *Area) prepare(ctx context.Context, cfg Config) error {
	if err := a.lock(cfg); err != nil {
		return err
	}
	a.git = findGit(ctx, a.dir, cfg.Env)
	a.place, a.at = a.root, a.dir
	if cfg.Untouched {
		if err := a.beginTrial(filepath.Join(cfg.StateDir, journals)); err != nil {
			return err
		}
	} else if err := a.journal.begin(a.name); err != nil {
		return err
	}
	if err := a.place.Mkdir(a.name, 0o700); err != nil {
		return a.unwritable(err)
	}
	a.there = true
	var err error
	if a.own, err = a.place.Sub(a.name); err != nil {
		return err
	}
	if a.spool, err = a.own.Open("spool", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return sys.Explain("", err)
	}
	return a.learnUmask()
}

// beginTrial makes the place of an area that nobody has to take anything back of, and
// removes those whose processes have died.
func (a *Area) beginTrial(at string) (err error) {
	a.at = at
	if a.place, err = archive.OpenRoot(at); err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(at, areaPrefix+"*"+trialSuffix))
	if err != nil {
		return err
	}
	for _, mark := range left {
		l, err := sys.TryLock(mark)
		if err != nil { // somebody is at it, or was faster
			continue
		}
		name := strings.TrimSuffix(filepath.Base(mark), trialSuffix)
		if err := a.place.RemoveAll(name); err == nil {
			_ = os.Remove(mark) // last: it is what says that there is something
		}
		_ = l.Unlock()
	}
	mark := filepath.Join(at, a.name+trialSuffix)
	f, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return sys.Explain("", err)
	}
	_ = f.Close()
	a.trial, err = sys.TryLock(mark)
	if errors.Is(err, sys.ErrLocked) || errors.Is(err, fs.ErrNotExist) { // somebody has just taken it for one that was left
		err = &api.Error{Kind: api.Conflict, Hint: "try again", Err: errors.New("somebody else is clearing up")}
	}
	return err
}

// learnUmask looks at what a new file gets: to ask the kernel would change it for a moment,
// for all threads.
func (a *Area) learnUmask() error {
	f, err := a.own.Open("umask", os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o777)
	if err != nil {
		return sys.Explain("", err)
	}
	info, err := f.Stat()
	if err == nil {
		a.umask = 0o777 &^ uint32(info.Mode().Perm())
	}
	return errors.Join(err, f.Close())
}

// lock keeps others away, and takes back what one of them did that died.
func (a *Area) lock(cfg Config) error {
	j, err := openJournal(cfg.StateDir, a.dir)
	if err != nil {
		return err
	}
	left, err := j.read()
	switch {
	case err != nil:
	case left != nil && cfg.Untouched:
		err = &api.Error{
			Kind: api.Conflict, Hint: "run it once without --dry-run and --branch, which takes that back first",
			Err: fmt.Errorf("an earlier apply to %s was interrupted", a.dir),
		}
	case left != nil:
		err = j.recover(a.root, left)
	}
	if err != nil || cfg.Untouched {
		return errors.Join(err, j.close())
	}
	a.journal = j
	return nil
}

// Git reports whether git can put both sides of a change together here.
func (a *Area) Git() bool { return a.git != nil }

// Close removes the area, and lets others at the directory.
func (a *Area) Close() error {
	var err error
	if a.spool != nil {
		_ = a.spool.Close()
	}
	if a.own != nil {
		_ = a.own.Close()
	}
	if a.place != nil {
		if a.there {
			err = a.place.RemoveAll(a.name)
		}
		if a.trial != nil {
			if err == nil {
				err = os.Remove(filepath.Join(a.at, a.name+trialSuffix))
			}
			_ = a.trial.Unlock()
		}
		if a.place != a.root {
			err = errors.Join(err, a.place.Close())
		}
	}
	if a.journal != nil {
		if err == nil {
			err = a.journal.forget()
		}
		err = errors.Join(err, a.journal.close())
	}
	return errors.Join(err, a.root.Close())
}

// ErrBases is the error of a Plan that has to know what files held before, and was not told.
var ErrBases = errors.New("what files held before is needed to put both sides together")

// Restart forgets what was added and planned. bases tells whether from now on Add is given
// what files held before, which few plans need: without it one that does is ErrBases. An area
// begins with bases.
func (a *Area) Restart(bases bool) error {
	a.changes, a.spooled, a.bases = nil, 0, bases
	_, err := a.spool.Seek(0, io.SeekStart)
	return sys.Explain("", errors.Join(a.spool.Truncate(0), err))
}

// Add takes a change. content is what New holds, if it is a file that holds anything else
// than Old did, and base what Old held; base may be nil, and then both sides cannot be put
// together. Both are read here.
func (a *Area) Add(c Change, content, base io.Reader) error {
	var err error
	if content != nil {
		c.content, err = a.keep(content, c.New)
	}
	if base != nil && err == nil {
		c.base, err = a.keep(base, c.Old)
	}
	if err != nil {
		return err
	}
	a.changes = append(a.changes, c)
	return nil
}

// keep takes the content of a file, which must be what it is said to be.
func (a *Area) keep(from io.Reader, want *State) (piece, error) {
	p := piece{from: a.spooled, size: want.Size, kept: true}
	sum := sha256.New()
	for left := want.Size; left > 0; {
		n, err := io.ReadFull(from, a.buf[:min(left, int64(len(a.buf)))])
		if err == nil {
			_, _ = sum.Write(a.buf[:n]) // never fails
			_, err = a.spool.Write(a.buf[:n])
			err = a.unwritable(err)
		}
		if err != nil {
			return p, sys.Explain("", err)
		}
		left -= int64(n)
		a.spooled += int64(n)
	}
	if [sha256.Size]byte(sum.Sum(nil)) != want.SHA256 {
		return p, errors.New("content of a change is not what it is said to be")
	}
	return p, nil
}

// unwritable is an error of the file system about the area, of which nobody knows the names.
func (a *Area) unwritable(err error) error {
	if err == nil {
		return nil
	}
	for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(cause) {
		err = cause
	}
	return sys.Explain("", fmt.Errorf("write to %s: %w", a.at, err))
}

// make makes a file of the area from what was taken, and tells which it is.
func (a *Area) make(name string, p piece, mode fs.FileMode, h heir) (id, error) {
	return a.fill(name, io.NewSectionReader(a.spool, p.from, p.size), mode, h)
}

// fill makes a file of the area.
func (a *Area) fill(name string, from io.Reader, mode fs.FileMode, h heir) (id, error) {
	f, err := a.own.Open(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return id{}, a.unwritable(err)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{from}, a.buf)
	info, statErr := a.own.Stat(name)
	err = errors.Join(err, statErr)
	if err == nil {
		err = h.take(f, info)
	}
	if uint32(mode)&a.umask != 0 && err == nil { // after it, which may take bits away
		err = f.Chmod(mode)
	}
	if sys.IsNoSpace(err) {
		err = a.unwritable(err)
	}
	return idOf(info), sys.Explain("", errors.Join(err, f.Close()))
}

// in is the path of a file of the area below its place.
func (a *Area) in(name string) string { return a.name + "/" + name }

// path is the same in full, for git.
func (a *Area) path(name string) string { return filepath.Join(a.at, a.name, name) }
