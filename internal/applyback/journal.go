package applyback

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// journals is the directory in the state directory where they lie.
const journals = "applying"

// journal says what is being done to a directory, so that it can be taken back by whoever
// comes after. It is two files in a private directory: a lock, and the journal itself,
// which is there while there is something to be taken back or cleared away.
type journal struct {
	lock *sys.Lock
	path string
	dir  string // that it is about
}

// notes are what a journal holds.
type notes struct {
	Dir   string `json:"dir"`   // bytes are escaped by nobody: it is for people, see its name
	Area  string `json:"area"`  // in that directory
	Ready bool   `json:"ready"` // steps may have been done
	Done  bool   `json:"done"`  // all were, and are to stay
	Steps []step `json:"steps"`
}

// step is one rename, or directory, and how to know whether it was done.
type step struct {
	Do     action `json:"do"`
	Path   []byte `json:"path"`             // below the directory
	Staged string `json:"staged,omitempty"` // in the area: what comes, or where to what is there goes
	Fresh  id     `json:"fresh,omitzero"`   // what comes
	Former id     `json:"former,omitzero"`  // what is there
	Mode   uint32 `json:"mode,omitempty"`   // of a directory
}

type action string

const (
	create  action = "create"  // staged to path
	replace action = "replace" // both change places
	remove  action = "remove"  // path to staged
	mkdir   action = "mkdir"
	rmdir   action = "rmdir"
)

// id tells a thing from all others. Device and inode do so among those that exist at the same
// time; the rest tells it from one that came later, under a number that was free again, or
// was written to.
type id struct {
	Device   uint64 `json:"device"`
	Inode    uint64 `json:"inode"`
	Size     int64  `json:"size_bytes"`
	Modified int64  `json:"modified_ns"`
}

func idOf(info archive.Info) id { return id{info.Device, info.Inode, info.Size, info.ModTimeNS} }

// is reports whether two are the same thing, written to or not.
func (a id) is(b id) bool { return a.Device == b.Device && a.Inode == b.Inode }

// openJournal locks the journal of a directory.
func openJournal(state, dir string) (*journal, error) {
	at := filepath.Join(state, journals)
	if err := os.MkdirAll(at, 0o700); err != nil {
		return nil, sys.Explain("", err)
	}
	sum := sha256.Sum256([]byte(dir))
	j := &journal{path: filepath.Join(at, hex.EncodeToString(sum[:16])), dir: dir}
	f, err := os.OpenFile(j.path+".lock", os.O_CREATE|os.O_RDWR|sys.NoFollow, 0o600)
	if err != nil {
		return nil, sys.Explain("", err)
	}
	_ = f.Close()
	j.lock, err = sys.TryLock(j.path + ".lock")
	if errors.Is(err, sys.ErrLocked) || errors.Is(err, fs.ErrNotExist) {
		return nil, &api.Error{Kind: api.Conflict, Hint: "try again when that is done", Err: fmt.Errorf("changes are being applied to %s by another process", dir)}
	}
	return j, sys.Explain("", err)
}

// close gives the lock back. What was never more than a lock goes.
func (j *journal) close() error {
	if _, err := os.Lstat(j.path); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(j.path + ".lock") // whoever waits for nothing opens it anew, and checks its name
	}
	return j.lock.Unlock()
}

// read returns what was left by another; nil: nothing.
func (j *journal) read() (*notes, error) {
	data, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	n := new(notes)
	if err == nil {
		err = json.Unmarshal(data, n)
	}
	if err != nil {
		return nil, &api.Error{Kind: api.Conflict, Hint: "look for " + areaPrefix + "* in " + j.dir + ", then remove that journal", Err: fmt.Errorf("the journal %s of an earlier apply cannot be read: %w", j.path, err)}
	}
	return n, nil
}

// write replaces what the journal says.
func (j *journal) write(n notes) error {
	n.Dir = j.dir
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(j.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|sys.NoFollow, 0o600)
	if err != nil {
		return sys.Explain("", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	return sys.Explain("", err)
}

// begin notes that there will be an area.
func (j *journal) begin(area string) error { return j.write(notes{Area: area}) }

// forget is for when there is nothing left to do.
func (j *journal) forget() error {
	err := os.Remove(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// recover brings the directory to where it was before the process died, or clears up what
// was done to its end.
func (j *journal) recover(root *archive.Root, left *notes) error {
	if left.Ready && !left.Done {
		if _, err := root.Stat(left.Area); errors.Is(err, fs.ErrNotExist) {
			return &api.Error{
				Kind: api.Conflict, Err: fmt.Errorf("an earlier apply was interrupted and cannot be taken back: %s in %s is gone", left.Area, j.dir),
				Hint: "see that the directory is as you want it, then remove " + j.path,
			}
		}
		if err := undo(root, left.Area, left.Steps); err != nil {
			return &api.Error{
				Kind: api.Conflict, Err: fmt.Errorf("an earlier apply was interrupted and cannot be taken back: %w", err),
				Hint: fmt.Sprintf("what was there lies in %s; bring back what you need, then remove it and %s", filepath.Join(j.dir, left.Area), j.path),
			}
		}
	}
	if err := root.RemoveAll(left.Area); err != nil {
		return sys.Explain("", err)
	}
	return j.forget()
}

// undo takes steps back, the last first. First it is looked whether all can be: where
// somebody changed a path since, nothing is touched.
func undo(root *archive.Root, area string, steps []step) error {
	made := make(map[string]bool) // directories that go again, if nobody uses them
	for _, s := range steps {
		made[string(s.Path)] = made[string(s.Path)] || s.Do == mkdir
	}
	for _, dry := range []bool{true, false} {
		for i := len(steps) - 1; i >= 0; i-- {
			if err := steps[i].undo(root, area, dry && made[string(steps[i].Path)], dry); err != nil {
				return err
			}
		}
	}
	return nil
}

// undo takes one step back; dry only looks whether that can be. free says that what
// stands at the path will not any more by then.
func (s *step) undo(root *archive.Root, area string, free, dry bool) error {
	path, staged := string(s.Path), area+"/"+s.Staged
	switch s.Do {
	case mkdir:
		if !dry {
			_ = root.Rmdir(path) // what is none of ours, or has something in it, stays
		}
		return nil
	case rmdir:
		if dry {
			return nil
		}
		if err := root.Mkdir(path, fs.FileMode(s.Mode&0o777)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	}
	from, done, err := s.former(root, staged)
	if err != nil || !done {
		return err
	}
	there, thereIs, err := look(root, path)
	changed := fmt.Errorf("%q was changed since", path)
	switch {
	case err != nil:
		return err
	case s.Do == create && !thereIs, s.Do == replace && thereIs && there.is(s.Former):
		return nil // somebody removed it, or it is still there
	case s.Do == remove && thereIs && !free, s.Do != remove && thereIs && there != s.Fresh:
		return changed
	case dry:
		return nil
	case s.Do == create:
		return root.RenameNew(path, staged)
	case thereIs:
		return root.Rename(from, path)
	}
	return root.RenameNew(from, path)
}

// former tells whether a step was done, and where then lies what was there before.
func (s *step) former(root *archive.Root, staged string) (from string, done bool, err error) {
	kept, keptIs, err := look(root, staged)
	if err != nil || s.Do == create {
		return "", !keptIs, err
	}
	aside, asideIs, err := look(root, staged+asideSuffix)
	switch {
	case err != nil:
		return "", false, err
	case keptIs && kept.is(s.Former):
		return staged, true, nil
	case asideIs && aside.is(s.Former):
		// Half done, in a place where two things cannot change places.
		return staged + asideSuffix, true, nil
	case s.Do == remove && !keptIs, s.Do == replace && keptIs && kept.is(s.Fresh):
		return "", false, nil
	}
	return "", false, fmt.Errorf("%s is not what it was", staged)
}

// look tells which thing stands at a path.
func look(root *archive.Root, path string) (id, bool, error) {
	info, err := root.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return id{}, false, nil
	}
	return idOf(info), err == nil, err
}

// asideSuffix is behind the name of what was there, where a file system cannot exchange.
const asideSuffix = "-aside"

// swap puts what is staged in the place of what is there, which then lies where staged was
// or aside. Nobody sees the path without either, unless the file system can neither
// exchange two things nor give one a second name.
func swap(root *archive.Root, staged, path string) error {
	err := root.Exchange(staged, path)
	if err == nil || !archive.IsUnsupported(err) {
		return err
	}
	if err := root.Link(path, staged+asideSuffix); err != nil {
		if err := root.RenameNew(path, staged+asideSuffix); err != nil {
			return err
		}
	}
	return root.Rename(staged, path)
}

// swapBack takes a swap back.
func swapBack(root *archive.Root, staged, path string) error {
	aside := staged + asideSuffix
	if _, isAside, err := look(root, aside); err != nil || !isAside {
		return errors.Join(err, swap(root, staged, path))
	}
	if err := root.RenameNew(path, staged); err != nil {
		return err
	}
	return root.RenameNew(aside, path)
}
