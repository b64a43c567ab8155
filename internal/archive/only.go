package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// AddOnly writes some of what is in the directory at dir below root, with the names that it
// has there, and looks at nothing else: names are clean, and come in the order of Pack, each
// once. Of a directory the member itself is written, and not what is in it. What is not there
// is left out, as is what would be behind a link, or behind something that is no directory;
// so if dir is none, nothing is written. Limits count what is written, and Skip and Only
// have their say in that alone.
func (w *Writer) AddOnly(root *Root, dir string, names iter.Seq[string]) (Kind, error) {
	if w.err != nil {
		return "", w.err
	}
	kind, err := w.only(root, dir, names)
	return kind, w.fail(err)
}

func (w *Writer) only(root *Root, dir string, names iter.Seq[string]) (Kind, error) {
	parent, last, err := root.at("pack", dir)
	if err != nil {
		return "", err
	}
	s, err := parent.lstat(last)
	parent.close()
	switch {
	case err != nil:
		return "", pathError("pack", dir, err)
	case s.kind == KindSpecial:
		return s.kind, pathError("pack", dir, ErrSpecial)
	case s.kind != KindDirectory:
		return s.kind, nil
	}
	base, err := root.Sub(dir)
	if err != nil {
		return s.kind, err
	}
	defer func() { _ = base.Close() }()
	at := cursor{root: base}
	defer at.back(0)
	for name := range names {
		if err := w.member(&at, name); err != nil {
			return s.kind, err
		}
	}
	return s.kind, nil
}

// member writes one member, if it is there.
func (w *Writer) member(at *cursor, name string) error {
	if err := w.walk.stopped(); err != nil {
		return pathError("pack", name, err)
	}
	parts, err := split(name)
	if err == nil && (name == "" || strings.Join(parts, "/") != name) {
		err = fmt.Errorf("%w: it is not clean", ErrName)
	}
	if err != nil {
		return pathError("pack", name, err)
	}
	parent, last := path.Split(name)
	d, err := at.to(strings.TrimSuffix(parent, "/"), nil)
	if absent(err) {
		return nil
	}
	if err == nil {
		err = w.walk.alone(d, last, name, len(parts))
	}
	return err
}

// absent reports whether an error of opening a directory says that there is none.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, ErrSymlink)
}

// alone is entry without what is below.
func (w *walker) alone(at dir, name, path string, depth int) error {
	s, err := at.lstat(name)
	if err == unix.ENOENT {
		return nil
	}
	if err == nil {
		err = w.within(path, depth)
	}
	switch {
	case err != nil:
		return pathError("pack", path, err)
	case w.opts.Skip != nil && w.opts.Skip(path, s.info(name)):
		return nil
	}
	w.seen++
	switch s.kind {
	case KindDirectory:
		err = w.to.directory(name, path, s)
	case KindSpecial:
		err = w.special()
	default:
		err = w.to.leaf(at, name, path, s)
	}
	if err == unix.ENOENT { // gone since
		return nil
	}
	return pathError("pack", path, err)
}
