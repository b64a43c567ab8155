// Package source turns what a user hands in for a workspace, a directory or a tar
// archive on the host, into one clean tar stream. It decides what belongs to the
// source: patterns and git's own ignore rules leave things out, special files are
// refused or left out, and a repository that only points elsewhere is made whole.
//
// Nothing outside the source is read, with one exception. The work tree of a git
// worktree or submodule has a file .git that names the directory of its repository.
// If that lies outside, or is named by an absolute path, which the guest does not
// have, the file is replaced by a directory .git made from that repository. Since the
// file may come from anybody, it could name any directory of the user's, so a
// repository is taken only if
//
//   - it is one: it has HEAD, and its common directory has objects and refs, all real
//     directories;
//   - it names this work tree in turn, as git writes it down: in the file gitdir of a
//     worktree, which must lie in the common directory's own worktrees, or as
//     core.worktree of a submodule;
//   - it belongs to the caller or to the owner of the source, as git's safe.directory
//     has it.
//
// Only names that git gives its files are taken from it, symlinks in it stay symlinks,
// and repositories that borrow objects from others are refused, as they would arrive
// broken. A directory .git in the source is carried as it is.
//
// What the package is not: it sends nothing, and it does not make sure that a tree
// stands still. A file that becomes shorter while it is read is an error, and of a
// repository names are read before objects, so that what is named is there.
package source
