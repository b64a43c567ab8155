package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// User ids for sandboxes that root starts: each is root in its own user namespace
// and nobody outside. The range lies where no one else hands out ids on their own:
// above those of shadow's subordinate ids (to 600,100,000), of systemd-nspawn (to
// 1,879,048,191) and of directory services (SSSD to 2,000,200,000), below
// systemd's foreign range (from 2,147,352,576) and below 2^31, where programs
// begin to take an id for a negative number.
const (
	firstUID  = 0x7800_0000 // 2,013,265,920
	countUIDs = 1 << 16
)

// AllocateUID reserves a user id that no other sandbox of this machine has, for root
// only. It is in the ledger: Reap gives it back, after the last process is gone.
func (w *Workspace) AllocateUID() (int, error) { return w.allocateUID(w.ledger.Acquire) }

func (w *Workspace) allocateUID(acquire func(Resource) error) (int, error) {
	if w.store.dirs.UIDs == "" {
		return 0, &api.Error{Kind: api.Unsupported, Op: "allocate a user id", ID: w.id, Err: errors.New("only root can give a sandbox its own")}
	}
	// Two sandboxes of this workspace must not think that the same entry is theirs.
	w.allocating.Lock()
	defer w.allocating.Unlock()
	start := rand.IntN(countUIDs)
	for i := range countUIDs {
		uid := firstUID + (start+i)%countUIDs
		switch err := w.reserve(uid, acquire); {
		case err == nil:
			return uid, nil
		case !errors.Is(err, fs.ErrExist):
			return 0, sys.Explain("allocate a user id for "+w.id, err)
		}
	}
	return 0, &api.Error{
		Kind: api.Unavailable, Op: "allocate a user id", ID: w.id, Hint: "delete workspaces",
		Err: fmt.Errorf("all %d are taken", countUIDs),
	}
}

// reserve enters one user id for the workspace, or fails with fs.ErrExist. The entry
// is a symbolic link to the workspace, because that is made exclusively and with
// its contents in one call: an entry always says whose it is.
func (w *Workspace) reserve(uid int, acquire func(Resource) error) error {
	path := filepath.Join(w.store.dirs.UIDs, strconv.Itoa(uid))
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	if err := acquire(Resource{Kind: KindUID, Path: path}); err != nil {
		return err
	}
	fault.Hit("uid-before")
	if err := os.Symlink(w.Path(), path); err != nil {
		return err
	}
	fault.Hit("uid-after")
	return nil
}

// freeUID removes an entry if it is this workspace's: it may be in the ledger of one
// that was killed just before making it, and belong to another since.
func (w *Workspace) freeUID(path string) error {
	owner, err := os.Readlink(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && owner != w.Path() {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// uids returns the entries of this workspace, also those that a volatile ledger
// lost in a power cut.
func (w *Workspace) uids() ([]Resource, error) {
	if w.store.dirs.UIDs == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(w.store.dirs.UIDs)
	if err != nil {
		return nil, err
	}
	var found []Resource
	for _, e := range entries {
		path := filepath.Join(w.store.dirs.UIDs, e.Name())
		if owner, err := os.Readlink(path); err == nil && owner == w.Path() {
			found = append(found, Resource{Kind: KindUID, Path: path})
		}
	}
	return found, nil
}
