package archive

import (
	"context"
	"io"
)

// Pack writes what is at path below root as an uncompressed pax archive to w, and
// tells what kind of thing it is. Of a directory the content is written, in byte
// order of the names, with names relative to it and without itself; a file or
// symlink becomes the one member of that name. Links are never followed: a symlink
// is written as one, and the second name of a file as a hard link to the first.
// Modes are kept, times in whole seconds; owners are not carried.
//
// The tree may change meanwhile. A file has the length it had when it was opened:
// what is appended later is left out, and one that became shorter is an error
// (ErrChanged), as padding would invent content. What vanishes is left out. A path
// that is missing at the start is an error that says "does not exist", and a
// special file there is ErrSpecial whatever opts say.
//
// After an error w has got a broken archive. Counts tells what was written.
func Pack(ctx context.Context, w io.Writer, root *Root, path string, opts PackOptions) (Counts, Kind, error) {
	out := NewWriter(ctx, w, opts)
	kind, err := out.Add(root, path, "")
	if err != nil {
		return out.counts, kind, err
	}
	counts, err := out.Close()
	return counts, kind, err
}

// PackDir is Pack of what is in the directory at path, which is the caller's own: see
// OpenRoot.
func PackDir(ctx context.Context, w io.Writer, path string, opts PackOptions) (Counts, error) {
	root, err := OpenRoot(path)
	if err != nil {
		return Counts{}, err
	}
	defer root.Close()
	counts, _, err := Pack(ctx, w, root, ".", opts)
	return counts, err
}
