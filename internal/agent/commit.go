package agent

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/patch"
)

// commit carries out a plan: all of it, or nothing. The new content is written outside
// the workspace first. Then names are moved, and what they stood for is kept beside the
// new content until the last one is in place. What commands in the guest did to a file
// since it was looked at ends the commit.
func (a *agent) commit(tree *patchedTree, changes []patch.Change) error {
	if len(changes) == 0 {
		return nil
	}
	s, err := a.newStage()
	if err != nil {
		return contentError(err)
	}
	defer a.removeStage(s)
	c := &committer{agent: a, tree: tree, stage: s.path}
	for i := range changes {
		if err := c.write(i, &changes[i]); err != nil {
			return contentError(placeError("write", changes[i].Path, err))
		}
	}
	if err := c.change(changes); err != nil {
		return c.rollBack(err)
	}
	return nil
}

// committer changes names, and notes how to undo it.
type committer struct {
	agent *agent
	tree  *patchedTree
	stage string
	undo  []func() error
}

func (c *committer) fresh(i int) string { return filepath.Join(c.stage, "new-"+strconv.Itoa(i)) }
func (c *committer) kept(i int) string  { return filepath.Join(c.stage, "old-"+strconv.Itoa(i)) }

// write puts the new content of one change into the stage.
func (c *committer) write(i int, change *patch.Change) error {
	switch {
	case change.Status == patch.Deleted:
		return nil
	case change.Kind == patch.Symlink:
		return os.Symlink(string(change.Content), c.fresh(i))
	}
	if err := os.WriteFile(c.fresh(i), change.Content, 0o600); err != nil {
		return err
	}
	if was, there := c.tree.seen[change.Path]; there && int(was.Uid) != os.Geteuid() && kindOf(&was) == archive.KindFile {
		_ = os.Lchown(c.fresh(i), int(was.Uid), int(was.Gid)) // an agent that is not root cannot, and need not
	}
	return unix.Chmod(c.fresh(i), change.Mode) // after the owner, which takes set-id bits away
}

// change moves the names: away what is deleted, with the directories that this leaves
// empty, and then into place what is new.
func (c *committer) change(changes []patch.Change) error {
	for i := range changes {
		if changes[i].Status == patch.Deleted {
			if err := c.takeAway(i, changes[i].Path); err != nil {
				return placeError("remove", changes[i].Path, err)
			}
		}
	}
	if err := c.prune(changes); err != nil {
		return err
	}
	for i := range changes {
		if changes[i].Status != patch.Deleted {
			if err := c.put(i, changes[i].Path); err != nil {
				return placeError("write", changes[i].Path, err)
			}
		}
	}
	return nil
}

// at calls do with the directory that a path ends in.
func (c *committer) at(rel string, do func(at int, name string) error) error {
	at, where, err := c.agent.descend(path.Dir(rel))
	if err != nil {
		return placeError("open", where, err)
	}
	defer func() { _ = unix.Close(at) }()
	return do(at, path.Base(rel))
}

// unchanged refuses what is not as the plan saw it.
func (c *committer) unchanged(at int, name, rel string) error {
	was := c.tree.seen[rel]
	st, err := lstatAt(at, name)
	if err == unix.ENOENT || err == nil && !same(&st, &was) {
		err = &api.Error{Kind: api.Conflict, Err: errors.New("it was changed while the patch was applied")}
	}
	return err
}

// takeAway moves what is at a path into the stage.
func (c *committer) takeAway(i int, rel string) error {
	return c.at(rel, func(at int, name string) error {
		if err := c.unchanged(at, name, rel); err != nil {
			return err
		}
		if err := unix.Renameat(at, name, unix.AT_FDCWD, c.kept(i)); err != nil {
			return mounted(err)
		}
		c.putsBack(i, rel, false)
		return nil
	})
}

// putsBack notes that what the stage keeps belongs at a path.
func (c *committer) putsBack(i int, rel string, overwrite bool) {
	c.undo = append(c.undo, func() error {
		return c.at(rel, func(at int, name string) error {
			return moveName(unix.AT_FDCWD, c.kept(i), at, name, overwrite)
		})
	})
}

// put moves new content to its path, in one step where something is replaced.
func (c *committer) put(i int, rel string) error {
	if err := c.makeAbove(rel); err != nil {
		return err
	}
	if err := c.clear(rel); err != nil {
		return err
	}
	return c.at(rel, func(at int, name string) error {
		was, there := c.tree.seen[rel]
		if there && kindOf(&was) != archive.KindDirectory { // one that is replaced is gone by now
			if err := c.unchanged(at, name, rel); err != nil {
				return err
			}
			return c.replace(i, at, name, rel)
		}
		if err := moveName(unix.AT_FDCWD, c.fresh(i), at, name, false); err != nil {
			return mounted(err)
		}
		c.undo = append(c.undo, func() error {
			return c.at(rel, func(at int, name string) error { return unix.Unlinkat(at, name, 0) })
		})
		return nil
	})
}

// replace keeps what is there by another link, so that the name is never without
// either; where there can be none, it is moved away first.
func (c *committer) replace(i, at int, name, rel string) error {
	if unix.Linkat(at, name, unix.AT_FDCWD, c.kept(i), 0) == nil {
		if err := unix.Renameat(unix.AT_FDCWD, c.fresh(i), at, name); err != nil {
			return mounted(err)
		}
		c.putsBack(i, rel, true)
		return nil
	}
	if err := unix.Renameat(at, name, unix.AT_FDCWD, c.kept(i)); err != nil {
		return mounted(err)
	}
	c.putsBack(i, rel, true)
	return mounted(moveName(unix.AT_FDCWD, c.fresh(i), at, name, false))
}

// makeAbove makes the directories above a path that are missing.
func (c *committer) makeAbove(rel string) error {
	for i := range len(rel) {
		if rel[i] != '/' {
			continue
		}
		above := rel[:i]
		if was, there := c.tree.seen[above]; there && kindOf(&was) == archive.KindDirectory {
			continue
		}
		err := c.at(above, func(at int, name string) error {
			err := unix.Mkdirat(at, name, 0o755)
			if err == nil {
				c.undo = append(c.undo, func() error {
					return c.at(above, func(at int, name string) error { return unix.Unlinkat(at, name, unix.AT_REMOVEDIR) })
				})
			}
			return err
		})
		if err != nil && err != unix.EEXIST {
			return err
		}
	}
	return nil
}

// prune removes the directories that deletions leave empty, unless something new goes
// there.
func (c *committer) prune(changes []patch.Change) error {
	stays := make(map[string]bool)
	var emptied []string
	for i := range changes {
		for above := path.Dir(changes[i].Path); above != "."; above = path.Dir(above) {
			if changes[i].Status == patch.Deleted {
				emptied = append(emptied, above)
			} else {
				stays[above] = true
			}
		}
	}
	slices.SortFunc(emptied, func(a, b string) int { return strings.Compare(b, a) }) // the deepest first
	for _, dir := range slices.Compact(emptied) {
		if stays[dir] {
			continue
		}
		if err := c.at(dir, func(at int, name string) error { return c.pruneOne(at, name, dir) }); err != nil {
			return placeError("remove", dir, err)
		}
	}
	return nil
}

// clear removes what is left of a directory that a file replaces: empty directories. All
// else in it stays, and then the file does not get its place.
func (c *committer) clear(rel string) error {
	was, there := c.tree.seen[rel]
	if !there || kindOf(&was) != archive.KindDirectory {
		return nil
	}
	names, err := c.tree.List(rel)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.clear(rel + "/" + name); err != nil {
			return err
		}
	}
	err = c.at(rel, func(at int, name string) error { return c.pruneOne(at, name, rel) })
	if err == unix.ENOENT { // the deletions have left it empty
		return nil
	}
	return err
}

func (c *committer) pruneOne(at int, name, rel string) error {
	st, err := lstatAt(at, name)
	if err != nil {
		return err
	}
	switch err := unix.Unlinkat(at, name, unix.AT_REMOVEDIR); err {
	case nil:
	case unix.ENOTEMPTY, unix.EEXIST:
		return nil
	default:
		return err
	}
	c.undo = append(c.undo, func() error {
		return c.at(rel, func(at int, name string) error {
			if err := unix.Mkdirat(at, name, 0o700); err != nil {
				return err
			}
			return dressDir(at, name, look{mode: st.Mode & 0o7777, mtime: st.Mtim})
		})
	})
	return nil
}

// rollBack undoes what was changed, the last first.
func (c *committer) rollBack(err error) error {
	failed := 0
	var why error
	for _, undo := range slices.Backward(c.undo) {
		if undoErr := undo(); undoErr != nil {
			failed++
			why = undoErr
		}
	}
	if failed > 0 {
		return &api.Error{Kind: api.Internal, Err: fmt.Errorf("%w; and %d of %d names could not be put back: %w", err, failed, len(c.undo), why)}
	}
	return fmt.Errorf("%w; nothing is changed", fileError(err))
}
