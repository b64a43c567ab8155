package source

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// What is taken of a repository that is carried along. What is not named stays: other
// worktrees and submodules, locks, and whatever somebody put there.
var (
	// ownFiles are those of one worktree, as patterns of path.Match.
	ownFiles = []string{
		"HEAD", "index", "sharedindex.*", "ORIG_HEAD", "FETCH_HEAD", "AUTO_MERGE", "MERGE_HEAD", "MERGE_MODE", "MERGE_MSG",
		"MERGE_RR", "MERGE_AUTOSTASH", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "SQUASH_MSG", "COMMIT_EDITMSG",
		"BISECT_*", "NOTES_MERGE_*", "NOTES_EDITMSG",
	}
	// ownPaths are, besides, those below directories that are shared.
	ownPaths = []string{
		"info/sparse-checkout", "logs/HEAD", "refs/bisect", "refs/worktree", "refs/rewritten",
		"logs/refs/bisect", "logs/refs/worktree", "logs/refs/rewritten",
	}
	ownTrees    = []string{"rebase-merge", "rebase-apply", "sequencer"}
	sharedFirst = []string{"description", "hooks", "info", "branches", "remotes", "rr-cache", "reftable", "refs", "logs"}
	// A reference moves from refs to packed-refs, and an object from a file of its own
	// to a pack: in this order neither is missed.
	sharedLast = []string{"packed-refs", "shallow", "lfs", "objects"}
)

// maxGitTop is how many names a repository may have at its top.
const maxGitTop = 100_000

// carry puts the repository in the place of the file.
func (r *repository) carry(to sink) error {
	info, err := r.own.Stat("")
	if err != nil {
		return err
	}
	if err := to.dir(r.at, info); err != nil {
		return err
	}
	if err := r.each(to, r.common, sharedFirst); err != nil {
		return err
	}
	own, err := r.ownNames()
	if err != nil {
		return err
	}
	if err := r.each(to, r.own, own); err != nil {
		return err
	}
	if err := r.carryConfig(to); err != nil {
		return err
	}
	return r.each(to, r.common, sharedLast)
}

// ownNames lists what belongs to the worktree alone.
func (r *repository) ownNames() ([]string, error) {
	infos, err := r.own.ReadDir("", maxGitTop)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, info := range infos {
		for _, pattern := range ownFiles {
			if ok, _ := path.Match(pattern, info.Name); ok && info.Kind != archive.KindDirectory {
				names = append(names, info.Name)
				break
			}
		}
	}
	names = append(names, ownTrees...)
	if r.linked {
		names = append(names, ownPaths...)
	}
	return names, nil
}

// each carries those of the names that are there.
func (r *repository) each(to sink, from *archive.Root, names []string) error {
	for _, name := range names {
		info, err := from.Stat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Kind == archive.KindSpecial {
			continue
		}
		if err != nil {
			return err
		}
		prefix := path.Join(r.at, path.Dir(name))
		if info.Kind == archive.KindDirectory {
			prefix = join(r.at, name)
			if err := to.dir(prefix, info); err != nil {
				return err
			}
		}
		if err := to.tree(from, name, prefix); err != nil {
			return err
		}
	}
	return nil
}

func (r *repository) carryConfig(to sink) error {
	info, err := r.common.Stat("config")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return to.file(join(r.at, "config"), info, r.config)
}

// skips reports whether something stays that lies in a directory which is taken; name
// is its path in the repository.
func (r *repository) skips(from *archive.Root, name string) bool {
	top, _, _ := strings.Cut(name, "/")
	if (top == "refs" || top == "logs") && strings.HasSuffix(name, ".lock") {
		return true // of a git that is at work; no reference is called so
	}
	if !r.linked || from != r.common {
		return false
	}
	for _, own := range ownPaths {
		if name == own {
			return true
		}
	}
	return false
}
