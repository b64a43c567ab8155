// Package patch makes and reads patches in git's format. It serves both sides of the
// wall: the host makes patches of what it fetched, the guest plans those it is sent.
//
// Making: a Maker compares two sides of one name and gives a Delta, which writes itself
// as a section of a git patch (WriteGit), as plain unified text (WriteText) and as counts.
// The patch is always valid UTF-8, whatever the names and the bytes: names are quoted as
// git quotes them, and content that is not UTF-8, holds NUL or is larger than MaxText goes
// as "GIT binary patch", of which most that stayed at either end is not repeated. `git apply`, with --index or --3way too, makes of the old tree
// exactly the new one. Sections come in any order; one pair is held at a time.
//
//	var maker patch.Maker
//	delta, err := maker.Compare("src/main.go", patch.Bytes(0o644, old), patch.Bytes(0o755, new))
//	if delta.Status != patch.Unchanged {
//		err = delta.WriteGit(w)
//	}
//
// Reading: Plan reads a patch whole, checks it against a Tree and returns what is to be
// written and removed. It changes nothing itself: nothing is returned before all of it
// was checked.
//
// What git's format cannot carry is no difference here: directories, special files, times,
// owners and all mode bits but the owner's right to execute.
//
// The format is that of git-diff(1), "Generating patch text with -p", and of git-apply(1);
// binary sections are those of git's base85.c and pack-format.
//
// From github.com/bluekeyes/go-gitdiff comes the reading of binary sections (base85, zlib,
// delta instructions). Headers and hunks are read here, because the library (v0.9.0)
// differs from git there: it ends a quoted name at a quotation mark that follows an escaped
// backslash, keeps one of two different names of a plain header, skips lines after a hunk
// that counts too few of them, inserts hunks without context (diff -U0) one line too early,
// finds no hunk that moved, does not tell what it found instead, and copies each line.
package patch
