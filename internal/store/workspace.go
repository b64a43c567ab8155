package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

const (
	lockName = "lock"
	bootName = "boot"
)

// Workspace is one whose lock this process holds: nobody else changes it until
// Unlock, Remove, or the end of the process.
type Workspace struct {
	store   *Store
	id      string
	lock    *sys.Lock
	ledger  *Ledger
	survive durability
	trash   string // where Remove has moved it; what has its id then is another

	allocating sync.Mutex // one user id at a time
}

func (s *Store) held(id string, lock *sys.Lock, survive durability) *Workspace {
	return &Workspace{
		store: s, id: id, lock: lock, survive: survive,
		ledger: &Ledger{disk: s.disk, path: filepath.Join(s.Path(id), ledgerName), survive: survive, boot: s.boot},
	}
}

// Create makes a workspace and takes its lock. It has no record until WriteRecord,
// and other processes see it locked from its first moment. An id that is taken is
// api.Exists.
func (s *Store) Create(id string) (*Workspace, error) { return s.create(id, powerCut) }

// CreateVolatile is Create for a workspace that ends with the process that asked
// for it: nothing is synced to disk, and Sweep removes what a reboot leaves of it.
func (s *Store) CreateVolatile(id string) (*Workspace, error) { return s.create(id, processDeath) }

func (s *Store) create(id string, survive durability) (*Workspace, error) {
	if err := api.CheckID(id); err != nil {
		return nil, err
	}
	for range 10 {
		lock, err := s.stage(id, survive)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a Sweep took the unlocked directory for a leftover
		}
		if err != nil {
			return nil, sys.Explain("create workspace "+id, err)
		}
		return s.held(id, lock, survive), nil
	}
	return nil, &api.Error{Kind: api.Internal, Op: "create workspace", ID: id, Err: errors.New("its directory was removed again and again")}
}

// stage makes the workspace's directory aside, locks it, and moves it to its place.
// A rename onto a directory fails unless that is empty, which none of ours ever is.
func (s *Store) stage(id string, survive durability) (_ *sys.Lock, err error) {
	dir := filepath.Join(s.trash(), id+"-"+rand.Text())
	if err := s.disk.Mkdir(dir); err != nil {
		return nil, err
	}
	var lock *sys.Lock
	defer func() {
		if err == nil {
			return
		}
		_ = os.RemoveAll(dir)
		if lock != nil {
			_ = lock.Unlock()
		}
	}()
	fault.Hit("create-staged")
	if lock, err = s.fill(dir, survive); err != nil {
		return nil, err
	}
	fault.Hit("create-locked")
	switch err := s.disk.Rename(dir, s.Path(id)); {
	case sys.IsNotEmpty(err):
		return nil, &api.Error{Kind: api.Exists, Err: fmt.Errorf("workspace %s exists", id)}
	case err != nil:
		return nil, err
	}
	fault.Hit("create-placed")
	if survive == powerCut {
		err = s.disk.SyncDir(s.workspaces())
	}
	return lock, err
}

// fill puts lock and ledger into a new directory and takes the lock.
func (s *Store) fill(dir string, survive durability) (*sys.Lock, error) {
	if survive == processDeath {
		boot, err := s.boot()
		if err == nil {
			err = write(s.disk, filepath.Join(dir, bootName), os.O_EXCL, []byte(boot), survive)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range []string{ledgerName, lockName} { // empty: there is nothing to sync
		if err := write(s.disk, filepath.Join(dir, name), os.O_EXCL, nil, processDeath); err != nil {
			return nil, err
		}
	}
	lock, err := sys.TryLock(filepath.Join(dir, lockName))
	if err == nil && survive == powerCut {
		err = s.disk.SyncDir(dir)
	}
	return lock, err
}

// Lock takes the lock of a workspace that nobody holds, without waiting: api.Conflict
// if a supervisor or somebody else holds it, api.NotFound if there is none. A broken
// workspace can be locked as well, to be removed.
func (s *Store) Lock(ctx context.Context, id string) (*Workspace, error) {
	if err := api.CheckID(id); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	lock, err := s.tryLock(id)
	switch {
	case errors.Is(err, sys.ErrLocked):
		return nil, &api.Error{
			Kind: api.Conflict, ID: id, Hint: "it is running, or another command is at it: try again",
			Err: fmt.Errorf("workspace is %w", err),
		}
	case errors.Is(err, fs.ErrNotExist):
		return nil, notFound(id)
	case err != nil:
		return nil, sys.Explain("lock workspace "+id, err)
	}
	survive := powerCut
	if s.isVolatile(id) {
		survive = processDeath
	}
	return s.held(id, lock, survive), nil
}

// tryLock makes the lock file anew if somebody deleted it: a workspace comes and
// goes together with its lock, and could not be removed otherwise.
func (s *Store) tryLock(id string) (*sys.Lock, error) {
	lock, err := sys.TryLock(s.lockOf(id))
	if !errors.Is(err, fs.ErrNotExist) {
		return lock, err
	}
	if err := write(s.disk, s.lockOf(id), 0, nil, processDeath); err != nil {
		return nil, err
	}
	return sys.TryLock(s.lockOf(id))
}

func (s *Store) isVolatile(id string) bool {
	_, err := os.Lstat(filepath.Join(s.Path(id), bootName))
	return err == nil
}

// ID returns the workspace's id.
func (w *Workspace) ID() string { return w.id }

// Path returns the workspace's directory in the state.
func (w *Workspace) Path() string { return w.store.Path(w.id) }

// Ledger returns where resources are entered before they are acquired.
func (w *Workspace) Ledger() *Ledger { return w.ledger }

// MakeRunDir makes the directory for the workspace's sockets and returns its path.
// It is in the ledger: Reap removes it.
func (w *Workspace) MakeRunDir() (string, error) {
	dir := w.store.RunDir(w.id)
	if err := w.ledger.Acquire(Resource{Kind: KindDir, Path: dir}); err != nil {
		return "", err
	}
	fault.Hit("run-dir-before")
	if err := MakeDir(dir, sharedMode()); err != nil {
		return "", err
	}
	fault.Hit("run-dir-after")
	return dir, nil
}

// Unlock gives the workspace up as it is. A second call, or one after Remove, does
// nothing.
func (w *Workspace) Unlock() error { return w.lock.Unlock() }

// Remove frees everything with Reap, then removes the workspace itself and the
// lock. It returns nil once nothing is left, and can be called again, by this
// process or the next one, after it failed or was killed.
func (w *Workspace) Remove(ctx context.Context) error {
	if err := w.Reap(ctx); err != nil {
		return err
	}
	fault.Hit("remove-reaped")
	if err := w.discard(); err != nil {
		return sys.Explain("remove workspace "+w.id, err)
	}
	return w.Unlock()
}

// discard moves the workspace aside, from where on its id is free for others, and
// removes it there.
func (w *Workspace) discard() error {
	if w.trash == "" {
		trash := filepath.Join(w.store.trash(), w.id+"-"+rand.Text())
		if err := w.store.disk.Rename(w.Path(), trash); err != nil {
			return err
		}
		w.trash = trash
	}
	fault.Hit("remove-trashed")
	if w.survive == powerCut {
		if err := w.store.disk.SyncDir(w.store.workspaces()); err != nil {
			return err
		}
	}
	overwriteSecrets(w.trash)
	if err := w.store.disk.RemoveTree(w.store.trash(), filepath.Base(w.trash)); err != nil {
		return err
	}
	fault.Hit("remove-emptied")
	if _, err := os.Lstat(w.trash); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is still there", w.trash)
	}
	return nil
}
