package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Walk calls each for every thing below path in the order in which Pack writes
// them, with the name it would have there (no slash at the end), under the same
// limits, Specials and Skip; Only and Seen play no part. If path is not a directory
// each is called for it alone. Nothing is opened but directories. Info tells the
// target of symlinks; of a file that has several names the size is told each time.
//
// An error of each ends the walk and is returned as it is. What vanishes meanwhile
// is left out.
func Walk(ctx context.Context, root *Root, path string, opts PackOptions, each func(path string, info Info) error) error {
	t := &teller{each: each}
	w := newWalker(ctx, opts, t)
	t.w = w
	_, err := w.top(root, path, "")
	var told tellError
	if errors.As(err, &told) {
		return told.err
	}
	return err
}

// walker goes through trees in the order of archives and keeps the limits.
type walker struct {
	stopped func() error
	opts    PackOptions
	to      visitor
	seen    int              // things met, but for those that Skip left out
	bytes   int64            // of files met
	names   map[inode]string // of files with several links: under which name the first was met
	skipped int
}

// visitor is told what a walker meets, in order.
type visitor interface {
	// directory is told of one that is open, before what is in it.
	directory(name, path string, s status) error
	// leaf is told of a file or symlink that stood under name in at a moment ago.
	leaf(at dir, name, path string, s status) error
}

func newWalker(ctx context.Context, opts PackOptions, to visitor) *walker {
	opts.Limits = opts.Limits.withDefaults()
	return &walker{stopped: ctx.Err, opts: opts, to: to, names: make(map[inode]string)}
}

// top goes through what is at path below root. Names begin with prefix, which is
// empty or ends in a slash.
func (w *walker) top(root *Root, path, prefix string) (Kind, error) {
	at, name, err := root.at("pack", path)
	if err != nil {
		return "", err
	}
	defer at.close()
	s, err := at.lstat(name)
	if err != nil {
		return "", pathError("pack", path, err)
	}
	switch s.kind {
	case KindDirectory:
		d, _, err := at.list(name)
		if err != nil {
			return s.kind, pathError("pack", path, err)
		}
		return s.kind, w.children(d, prefix, 1+depthOf(prefix))
	case KindSpecial:
		return s.kind, pathError("pack", path, ErrSpecial)
	}
	err = w.entry(at, name, prefix+name, depthOf(prefix))
	if err == unix.ENOENT {
		err = pathError("pack", path, err)
	}
	return s.kind, err
}

// children goes through the directory f, whose content has names that begin with
// prefix, and closes f.
func (w *walker) children(f *os.File, prefix string, depth int) error {
	defer f.Close()
	names, err := listed(f, w.opts.Limits.Entries)
	if err != nil {
		return pathError("pack", prefix, err)
	}
	at := dir{fd: int(f.Fd()), lent: true}
	for _, name := range names {
		// Gone since the directory was listed.
		if err := w.entry(at, name, prefix+name, depth); err != nil && err != unix.ENOENT {
			return err
		}
	}
	return nil
}

// entry goes through name in at, and all below it. The bare ENOENT means that it is
// not there; other errors name it.
func (w *walker) entry(at dir, name, path string, depth int) error {
	if err := w.stopped(); err != nil {
		return pathError("pack", path, err)
	}
	s, err := at.lstat(name)
	switch {
	case err == unix.ENOENT:
		return err
	case err != nil:
		return pathError("pack", path, err)
	case w.opts.Skip != nil && w.opts.Skip(path, s.info(name)):
		return nil
	}
	if err := w.within(path, depth); err != nil {
		return pathError("pack", path, err)
	}
	w.seen++
	switch s.kind {
	case KindDirectory:
		return w.directory(at, name, path, depth)
	case KindSpecial:
		err = w.special()
	default:
		err = w.to.leaf(at, name, path, s)
	}
	if err == unix.ENOENT {
		return err
	}
	return pathError("pack", path, err)
}

// depthOf counts the parts of a prefix.
func depthOf(prefix string) int { return strings.Count(prefix, "/") }

// within compares the next member with the limits.
func (w *walker) within(path string, depth int) error {
	switch limits := w.opts.Limits; {
	case w.seen >= limits.Entries:
		return fmt.Errorf("%w: more than %d entries", ErrLimit, limits.Entries)
	case len(path) > limits.NameBytes:
		return fmt.Errorf("%w: a name of %d bytes", ErrLimit, len(path))
	case depth > limits.Depth:
		return fmt.Errorf("%w: more than %d directories deep", ErrLimit, limits.Depth)
	}
	return nil
}

func (w *walker) special() error {
	if w.opts.Specials == SpecialsRefused {
		return ErrSpecial
	}
	w.skipped++
	return nil
}

func (w *walker) directory(at dir, name, path string, depth int) error {
	f, s, err := at.list(name)
	if err == unix.ENOENT {
		return err
	}
	if err == nil {
		if err = w.to.directory(name, path, s); err != nil {
			_ = f.Close()
		}
	}
	if err != nil {
		return pathError("pack", path, raced(err))
	}
	return w.children(f, path+"/", depth+1)
}

// file counts a file that is known to be one. Under another name it came before as
// first.
func (w *walker) file(path string, s status) (first string, again bool, err error) {
	if s.links > 1 {
		if first, again = w.names[s.id]; again {
			return first, true, nil
		}
	}
	if left := w.opts.Limits.Bytes - w.bytes; s.size > left {
		return "", false, fmt.Errorf("%w: more than %d bytes of files", ErrLimit, w.opts.Limits.Bytes)
	}
	w.bytes += s.size
	if s.links > 1 {
		w.names[s.id] = path
	}
	return "", false, nil
}

// raced says what it means that something could not be opened as what it was a
// moment ago.
func raced(err error) error {
	if errors.Is(err, ErrSymlink) || errors.Is(err, ErrSpecial) || err == unix.ENOTDIR {
		return ErrChanged
	}
	return err
}

// teller is the visitor of Walk.
type teller struct {
	w    *walker
	each func(path string, info Info) error
}

// tellError carries an error of each past the wrapping.
type tellError struct{ err error }

func (e tellError) Error() string { return e.err.Error() }

func (t *teller) tell(path string, info Info) error {
	if err := t.each(path, info); err != nil {
		return tellError{err}
	}
	return nil
}

func (t *teller) directory(name, path string, s status) error { return t.tell(path, s.info(name)) }

func (t *teller) leaf(at dir, name, path string, s status) error {
	info := s.info(name)
	if s.kind == KindFile {
		if _, _, err := t.w.file(path, s); err != nil {
			return err
		}
		return t.tell(path, info)
	}
	target, err := at.target(name)
	if err != nil {
		return err
	}
	info.Target = target
	return t.tell(path, info)
}
