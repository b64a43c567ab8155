// Package stage prepares the namespaces in which runsc starts: it makes the mounts
// private and assembles the sandbox's root file system from empty directories,
// small files, links and read-only views of host directories.
//
// The caller's clone flags made the namespaces (user, mount and more); the stage
// runs in the very process that becomes runsc, so what it mounts is seen by that
// process and its children alone and vanishes with the last of them. Nothing has
// to be undone, whatever happens.
//
// The package neither makes namespaces nor knows runsc. Its input, the stage file,
// is written by pyro's engine; it is decoded strictly all the same, because a
// mistake in it would decide what of the host a guest can see.
package stage

// Stage says what to assemble. The stage file is one JSON object with these very
// names as keys; each may be left out. The names inside (of directories, public
// directories, files, links, binds and tmpfs) are paths below Root: relative, clean,
// slash-separated, none twice, and none beneath a file, a link or a bind. Parent
// directories are made as needed, with mode 0755.
type Stage struct {
	// Root is an existing directory, absolute. A tmpfs covers it, 0755 and at most
	// 4 MiB, and is read-only when all is assembled. Empty: the mounts become
	// private and nothing is assembled; all other fields must be empty then.
	Root string

	// Dirs are empty directories, 0755. Mount points of the guest belong here: the
	// root is read-only by the time that they are needed.
	Dirs []string

	// Public are empty directories that everybody may write to, 01777, such as tmp.
	Public []string

	// Files are regular files, 0644: name to content.
	Files map[string]string

	// Links are symbolic links: name to target. A target may be absolute; it is
	// followed in the guest only.
	Links map[string]string

	// Binds show a directory or a file of the host, with all that is mounted below
	// it, read-only, without devices and set-uid: name to absolute host path, not
	// "/" itself. A link at the host path's end is followed.
	Binds map[string]string

	// Tmpfs are file systems of their own, for Files that the root's 4 MiB do not
	// hold: name to mount options, of which size, mode and nr_inodes are allowed.
	// They are read-only at the end, like the rest.
	Tmpfs map[string]string
}
