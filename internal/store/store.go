package store

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

// Store is an open state directory. It holds no descriptors and no state of its
// own, so it need not be closed, and any number of goroutines and processes may
// use the same directory.
type Store struct {
	dirs Dirs
	disk disk
	boot func() (string, error)
}

// Open makes the directories that are missing and refuses those that another user
// could change: wrong owner, writable for group or others, or a symbolic link. Such
// a refusal is api.Denied, a run directory too long for sockets api.Invalid.
func Open(dirs Dirs) (*Store, error) {
	s := &Store{dirs: dirs, disk: osDisk{}, boot: sys.BootID}
	if path := filepath.Join(s.RunDir("000000000000"), ControlSocket); len(path) > maxSocketPath {
		return nil, &api.Error{
			Kind: api.Invalid, Op: "open state", Hint: "set PYRO_RUN_DIR to a shorter directory",
			Err: fmt.Errorf("socket path %s has %d bytes, allowed are %d", path, len(path), maxSocketPath),
		}
	}
	for _, d := range s.layout() {
		if err := MakeDir(d.path, d.mode); err != nil {
			return nil, err
		}
	}
	return s, nil
}

type dirMode struct {
	path string
	mode fs.FileMode
}

// sharedMode is that of directories which processes of a sandbox have to pass, but not
// to list: where root starts them they run as users of their own.
func sharedMode() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// layout lists the directories that Open makes, parents first.
func (s *Store) layout() []dirMode {
	list := []dirMode{
		{s.dirs.State, 0o700},
		{s.workspaces(), 0o700},
		{s.trash(), 0o700},
		{s.goneDir(), 0o700},
		{filepath.Dir(s.dirs.Run), sharedMode()},
		{s.dirs.Run, sharedMode()},
	}
	if s.dirs.Sandbox != "" {
		list = append(list, dirMode{filepath.Dir(s.dirs.Sandbox), 0o711}, dirMode{s.dirs.Sandbox, 0o711})
	}
	if s.dirs.UIDs != "" {
		list = append(list, dirMode{s.dirs.UIDs, 0o700})
	}
	return list
}

// MakeCacheDir is MakeDir for a directory in the cache, which gets the same mode where it
// is not there yet.
func MakeCacheDir(path string, mode fs.FileMode) error {
	if _, err := os.Lstat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		if err := MakeDir(filepath.Dir(path), mode); err != nil {
			return err
		}
	}
	return MakeDir(path, mode)
}

// MakeDir makes a directory with this mode, whatever the umask, or takes an existing
// one that only we can change, else it is api.Denied. That one's mode is narrowed
// where it is to be private, and widened where sandboxes have to pass.
func MakeDir(path string, mode fs.FileMode) error {
	if err := makeParents(filepath.Dir(path)); err != nil {
		return sys.Explain("make directory", err)
	}
	if err := checkParents(filepath.Dir(path)); err != nil {
		return err
	}
	switch err := os.Mkdir(path, mode); {
	case err == nil:
		return sys.Explain("make directory", os.Chmod(path, mode))
	case !errors.Is(err, fs.ErrExist):
		return sys.Explain("make directory", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return sys.Explain("make directory", err)
	}
	perm := info.Mode().Perm()
	if !info.IsDir() || sys.Owner(info) != os.Geteuid() || perm&0o022 != 0 {
		return &api.Error{
			Kind: api.Denied, Op: "make directory",
			Hint: fmt.Sprintf("it must be a directory of uid %d that nobody else may write to: remove it, or choose another", os.Geteuid()),
			Err:  fmt.Errorf("unsafe owner or mode on %s: %v of uid %d", path, info.Mode(), sys.Owner(info)),
		}
	}
	if mode != 0o700 {
		mode |= perm
	}
	if perm == mode {
		return nil
	}
	return sys.Explain("make directory", os.Chmod(path, mode))
}

// checkParents refuses a place of which somebody else could take away what is ours
// and put something else there: a directory above that belongs to neither us nor
// root, or that everybody may write to without the sticky bit. One that our group
// may write to is common where every user has a group of their own.
func checkParents(path string) error {
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return sys.Explain("make directory", err)
		}
		owner, open := sys.Owner(info), info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0
		if open || owner != 0 && owner != os.Geteuid() {
			return &api.Error{
				Kind: api.Denied, Op: "make directory", Hint: "choose another place: PYRO_STATE_DIR, PYRO_RUN_DIR, PYRO_CACHE_DIR",
				Err: fmt.Errorf("unsafe owner or mode on %s above it: %v of uid %d", dir, info.Mode(), owner),
			}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// makeParents makes what is missing above a directory of ours: passable for all,
// whatever the umask, and to be listed by nobody else.
func makeParents(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeParents(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o711); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	return os.Chmod(path, 0o711)
}

// Dirs returns the directories that the store was opened with.
func (s *Store) Dirs() Dirs { return s.dirs }

// RunDir is where the sockets of a workspace lie while it runs. It exists once
// Workspace.MakeRunDir was called.
func (s *Store) RunDir(id string) string { return filepath.Join(s.dirs.Run, id) }

// SandboxDir is where an engine puts what its processes open by path. The engine
// makes it and enters it in the ledger; the parent exists.
func (s *Store) SandboxDir(id string) string {
	if s.dirs.Sandbox == "" {
		return filepath.Join(s.Path(id), "disk")
	}
	return filepath.Join(s.dirs.Sandbox, id)
}

// Path is the directory of a workspace in the state. Readers find there what its
// supervisor keeps for them; nobody else writes to it.
func (s *Store) Path(id string) string { return filepath.Join(s.workspaces(), id) }

func (s *Store) workspaces() string      { return filepath.Join(s.dirs.State, "workspaces") }
func (s *Store) trash() string           { return filepath.Join(s.dirs.State, "trash") }
func (s *Store) goneDir() string         { return filepath.Join(s.dirs.State, "gone") }
func (s *Store) lockOf(id string) string { return filepath.Join(s.Path(id), lockName) }

// IDs lists all workspaces in order: running, stopped, broken, and those still
// being made, for which Read says api.NotFound.
func (s *Store) IDs() ([]string, error) {
	entries, err := os.ReadDir(s.workspaces())
	if err != nil {
		return nil, sys.Explain("list workspaces", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && api.CheckID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Running reports whether a process holds the workspace's lock. It never takes
// it. A workspace that does not exist is api.NotFound.
func (s *Store) Running(id string) (bool, error) {
	if err := api.CheckID(id); err != nil {
		return false, err
	}
	held, err := sys.Locked(s.lockOf(id))
	if !errors.Is(err, fs.ErrNotExist) {
		return held, err
	}
	if _, err := os.Lstat(s.Path(id)); err == nil {
		return false, nil // its lock was deleted; nobody can be seen to hold it
	}
	return false, notFound(id)
}

// CountRunning returns how many workspaces are held by a process. It is a moment's
// count: others may start and end meanwhile.
func (s *Store) CountRunning() (int, error) {
	ids, err := s.IDs()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, id := range ids {
		if held, err := s.Running(id); err == nil && held {
			n++
		}
	}
	return n, nil
}

func notFound(id string) error {
	return &api.Error{
		Kind: api.NotFound, Hint: "`pyro workspace list` shows those there are",
		Err: fmt.Errorf("no workspace %s", id),
	}
}
