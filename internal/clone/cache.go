package clone

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Options say where clones are made, and with what.
type Options struct {
	Dir     string   // of the cache, for clones alone: there, and writable by this user alone
	Environ []string // as os.Environ; git gets a few of them, see passed
	Limits  Limits
}

// Limits bound what strangers may put on this disk. Zero fields are the defaults.
type Limits struct {
	Objects int64 // bytes of what is fetched: 4 GiB
	Files   int64 // bytes of the files of the commit: 8 GiB
	Entries int   // files and directories of the commit: 500,000
	Kept    int64 // bytes of all archives that are kept: 8 GiB; the last one made always is
}

func (l Limits) withDefaults() Limits {
	d := Limits{Objects: 4 << 30, Files: 8 << 30, Entries: 500_000, Kept: 8 << 30}
	if l.Objects != 0 {
		d.Objects = l.Objects
	}
	if l.Files != 0 {
		d.Files = l.Files
	}
	if l.Entries != 0 {
		d.Entries = l.Entries
	}
	if l.Kept != 0 {
		d.Kept = l.Kept
	}
	return d
}

// Archive is a repository as a tar archive on this disk. It may be removed by a later
// Fetch, as one that was not used for long.
type Archive struct {
	Path   string
	Commit string
}

// Fetch returns an archive of the repository at the commit that its name stands for, or
// at another one that is asked for (empty: none is). One that was made before is taken
// as it is. Errors are those of Resolve, and api.Invalid for a repository beyond the limits.
// When it fails, or ctx ends, nothing is left.
func (r *Repository) Fetch(ctx context.Context, o Options, commit string) (*Archive, error) {
	if object().MatchString(r.ref) {
		commit = r.ref
	}
	o.Limits = o.Limits.withDefaults()
	if commit != "" {
		if kept := o.kept(r, commit); kept != nil {
			return kept, nil
		}
	}
	s, err := newStage(o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	found, err := r.resolve(ctx, s.git)
	if err != nil {
		return nil, err
	}
	if commit == "" {
		commit = found.commit
		if kept := o.kept(r, commit); kept != nil {
			return kept, nil
		}
	}
	return r.make(ctx, s, found, commit)
}

// make fetches, and puts the archive where it is kept.
func (r *Repository) make(ctx context.Context, s *stage, found target, commit string) (*Archive, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, overTime("fetching "+r.shown))
	defer cancel()
	ctx, watched := s.watch(ctx)
	defer watched()
	if found.ref == "" {
		s.git.about(r)
	}
	commit, err := r.fetch(ctx, s.git, found, commit)
	if err != nil {
		return nil, err
	}
	made := filepath.Join(s.dir, "made.tar")
	if err := r.pack(ctx, s, s.git.tagged(ctx, found, commit), commit, made); err != nil {
		return nil, err
	}
	kept := &Archive{Path: s.options.place(r, commit), Commit: commit}
	if err := os.Rename(made, kept.Path); err != nil {
		return nil, sys.Explain("keep clone", err)
	}
	s.options.prune(kept.Path)
	return kept, nil
}

const suffix = ".tar"

// place is where the archive of a commit lies. The name belongs to it, since the branch
// that it is on is in the archive.
func (o Options) place(r *Repository, commit string) string {
	key := sha256.Sum256([]byte(r.shown + "\x00" + r.ref + "\x00" + commit))
	return filepath.Join(o.Dir, fmt.Sprintf("%x", key[:16])+suffix)
}

// kept is the archive of a commit, if it is there. It is the last used then.
func (o Options) kept(r *Repository, commit string) *Archive {
	path := o.place(r, commit)
	now := time.Now()
	if os.Chtimes(path, now, now) != nil {
		return nil
	}
	return &Archive{Path: path, Commit: commit}
}

// prune removes what was not used for longest, until the rest is within the limit. What
// cannot be removed, or is gone already, is another call's business.
func (o Options) prune(but string) {
	names, err := os.ReadDir(o.Dir)
	if err != nil {
		return
	}
	var kept []fs.FileInfo
	var total int64
	for _, name := range names {
		if info, err := name.Info(); err == nil && info.Mode().IsRegular() && strings.HasSuffix(info.Name(), suffix) {
			kept, total = append(kept, info), total+info.Size()
		}
	}
	slices.SortFunc(kept, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range kept {
		path := filepath.Join(o.Dir, info.Name())
		if total > o.Limits.Kept && path != but && os.Remove(path) == nil {
			total -= info.Size()
		}
	}
}

// stage is a directory of this call alone, and the git that works in it.
type stage struct {
	options Options
	dir     string
	lock    *sys.Lock
	git     *git
}

const (
	staged   = "making-"
	lockFile = "lock"
	halfMade = time.Hour // a stage without a lock for so long is nobody's
)

func newStage(o Options) (*stage, error) {
	sweep(o.Dir)
	o.Limits = o.Limits.withDefaults()
	s := &stage{options: o, dir: filepath.Join(o.Dir, staged+rand.Text())}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, sys.Explain("clone", err)
	}
	err := os.WriteFile(filepath.Join(s.dir, lockFile), nil, 0o600)
	if err == nil {
		s.lock, err = sys.TryLock(filepath.Join(s.dir, lockFile))
	}
	home := filepath.Join(s.dir, "home")
	if err == nil {
		err = os.Mkdir(home, 0o700)
	}
	if err == nil {
		s.git, err = newGit(o.Environ, home)
	}
	if err != nil {
		s.close()
		return nil, sys.Explain("clone", err)
	}
	return s, nil
}

func (s *stage) close() {
	_ = os.RemoveAll(s.dir) // what is left the next sweep removes
	if s.lock != nil {
		_ = s.lock.Unlock()
	}
}

// sweep removes what killed processes have left.
func sweep(dir string) {
	names, _ := filepath.Glob(filepath.Join(dir, staged+"*"))
	for _, name := range names {
		lock, err := sys.TryLock(filepath.Join(name, lockFile))
		if errors.Is(err, fs.ErrNotExist) {
			if info, err := os.Lstat(name); err == nil && time.Since(info.ModTime()) > halfMade {
				_ = os.RemoveAll(name)
			}
			continue
		}
		if err != nil {
			continue
		}
		_ = os.RemoveAll(name)
		_ = lock.Unlock()
	}
}

// watch ends the context that it returns once more is in the stage than may be. The
// function that it returns ends the watching.
func (s *stage) watch(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { // ends with ctx
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if size(s.git.repo) > s.options.Limits.Objects {
					cancel(tooLarge("the repository has more than %d MiB", s.options.Limits.Objects>>20))
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// size counts the bytes of the files below a directory. What comes and goes meanwhile
// may be counted or not.
func size(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has gone
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	return total
}

var errBroken = &api.Error{Kind: api.Invalid, Hint: "clone it yourself and hand in the directory with --seed-path", Err: errors.New("git's answer is not understood")}
