package agent

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const (
	walkPiece  = 48 << 10 // bytes of records after which they are sent
	direntSize = 64 << 10 // bytes of a directory that are read at once
)

// openParent opens the directory in which the path ends, and returns its last part; of
// the workspace it is the workspace itself, and ".". The caller closes the descriptor.
// No link is followed.
func (a *agent) openParent(op string, p guestPath) (at int, name string, err error) {
	dir := path.Dir(p.rel)
	at, where, err := a.descend(dir)
	if err != nil {
		return -1, "", placeError(op, where, err)
	}
	return at, path.Base(p.rel), nil
}

// walk tells what is at a path and below it. Nothing is opened but directories, and
// each thing costs one statx(2), or a part of one states; see there.
func (a *agent) walk(ctx context.Context, out *outflow, req *wire.WalkRequest) (*wire.WalkReply, error) {
	clock := time.Now().UnixNano()
	p, err := parsePath(req.Path)
	if err != nil {
		return nil, err
	}
	left := req.MaxEntries
	switch {
	case left == 0:
		left = wire.MaxTreeEntries
	case left < 0 || left > wire.MaxTreeEntries:
		return nil, invalid("max_entries is %d, allowed are 1 to %d", left, wire.MaxTreeEntries)
	}
	at, name, err := a.openParent("walk", p)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(at) }()
	w := &walker{ctx: ctx, out: out, root: p.wire, recursive: req.Recursive, most: left, buf: make([]byte, direntSize), target: make([]byte, wire.MaxTreePath+1)}
	if err := w.top(at, name); err != nil {
		return nil, err
	}
	return &wire.WalkReply{Path: p.wire, Count: int64(w.count), Clock: clock, Batched: int64(w.batched)}, nil
}

// walker goes through a tree and sends what it meets.
type walker struct {
	ctx         context.Context
	out         *outflow
	records     wire.WalkWriter
	root        string // as the wire has it
	recursive   bool
	most, count int // entries
	batched     int // of them, told by states
	buf         []byte
	target      []byte
	entry       wire.WalkEntry
	states      []states // of the directories that are gone through now
}

// top tells what the path itself is, and what is below it.
func (w *walker) top(at int, name string) error {
	st, err := statxAt(at, name)
	if err == nil {
		err = w.fillEntry(at, name, &st)
	}
	if err != nil {
		return placeError("walk", w.root, err)
	}
	w.records.Add(&w.entry)
	if kindOfMode(uint32(st.Mode)) == archive.KindDirectory {
		fd, err := openAt(at, name, listing)
		if err != nil {
			return placeError("walk", w.root, err)
		}
		if err := w.directory(fd, nil, 1); err != nil {
			return err
		}
	}
	return w.out.send(w.records.Piece)
}

// directory goes through the directory fd, which it closes. prefix is its path with a
// slash behind, or nothing.
func (w *walker) directory(fd int, prefix []byte, depth int) error {
	defer func() { _ = unix.Close(fd) }()
	if err := w.ctx.Err(); err != nil {
		return err
	}
	names, err := w.list(fd)
	if err != nil {
		return placeError("walk", path.Join(w.root, string(prefix)), err)
	}
	if len(names) > 0 && depth > wire.MaxTreeDepth {
		return placeError("walk", path.Join(w.root, string(prefix)), fmt.Errorf("%w: more than %d directories deep", archive.ErrLimit, wire.MaxTreeDepth))
	}
	for i, name := range names {
		told := w.told(fd, names, i, depth)
		below := append(prefix, name...)
		if err := w.name(fd, name, told, below, depth); err != nil {
			return err
		}
		prefix = below[:len(prefix)] // keeps what it has grown to
	}
	return nil
}

// told is what the name at place i of a directory is, where that is told for many at once;
// nil: statx tells. It is valid until the next of that depth is asked for.
func (w *walker) told(fd int, names []string, i, depth int) *unix.Statx_t {
	for len(w.states) < depth {
		w.states = append(w.states, states{})
	}
	held := &w.states[depth-1]
	if i%maxStates == 0 {
		held.ask(fd, names[i:min(i+maxStates, len(names))])
	}
	return held.of(i % maxStates)
}

// list returns the names in a directory in byte order.
func (w *walker) list(fd int) (names []string, err error) {
	for {
		n, err := unix.ReadDirent(fd, w.buf)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ENOENT: // the directory is gone
			return nil, nil
		case err != nil:
			return nil, err
		case n == 0:
			slices.Sort(names)
			return names, nil
		}
		_, _, names = unix.ParseDirent(w.buf[:n], -1, names)
		if len(names) > w.most-w.count {
			return nil, fmt.Errorf("%w: more than %d entries", archive.ErrLimit, w.most)
		}
	}
}

// name tells what has a name, and what is below it. What is gone is left out. told is what
// it is, or nil.
func (w *walker) name(at int, name string, told *unix.Statx_t, below []byte, depth int) error {
	st, err := told, error(nil)
	if st == nil {
		var own unix.Statx_t
		own, err = statxAt(at, name)
		st = &own
	}
	if err == nil {
		err = w.fillEntry(at, name, st)
	}
	switch {
	case err == unix.ENOENT:
		return nil
	case err == nil && len(below) > wire.MaxTreePath:
		err = fmt.Errorf("%w: a path of %d bytes", archive.ErrLimit, len(below))
	case err == nil && w.count == w.most:
		err = fmt.Errorf("%w: more than %d entries", archive.ErrLimit, w.most)
	}
	if err != nil {
		return placeError("walk", path.Join(w.root, string(below)), err)
	}
	w.count++
	if told != nil {
		w.batched++
	}
	w.entry.Path = below
	w.records.Add(&w.entry)
	if len(w.records.Piece) >= walkPiece {
		if err := w.out.send(w.records.Piece); err != nil {
			return err
		}
		w.records.Piece = w.records.Piece[:0]
	}
	if !w.recursive || kindOfMode(uint32(st.Mode)) != archive.KindDirectory {
		return nil
	}
	fd, err := openAt(at, name, listing)
	switch err {
	case nil:
		return w.directory(fd, append(below, '/'), depth+1)
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP: // it is none any more
		return nil
	}
	return placeError("walk", path.Join(w.root, string(below)), err)
}

// attrUnseen is the bit of stx_attributes by which pyro's Sentry tells a file that a write
// to memory can or could change, of which no time tells. Linux does not use it.
const attrUnseen = 1 << 63

// statxAt is lstat(2) that asks for attributes, too.
func statxAt(at int, name string) (st unix.Statx_t, err error) {
	err = unix.Statx(at, name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st)
	return st, err
}

// fillEntry makes w.entry of what statx says of name, without a path.
func (w *walker) fillEntry(at int, name string, st *unix.Statx_t) error {
	w.entry = entryOf(st)
	if w.entry.Kind != string(archive.KindSymlink) {
		return nil
	}
	n, err := unix.Readlinkat(at, name, w.target)
	switch {
	case err == unix.EINVAL: // it is none any more
		return unix.ENOENT
	case err != nil:
		return err
	case n == 0 || n > wire.MaxTreePath:
		return fmt.Errorf("%w: a link target of %d bytes", archive.ErrLimit, n)
	}
	w.entry.Target = w.target[:n]
	return nil
}

// entryOf is what statx says, without path and target.
func entryOf(st *unix.Statx_t) wire.WalkEntry {
	kind := kindOfMode(uint32(st.Mode))
	e := wire.WalkEntry{
		Kind: string(kind), Mode: uint32(st.Mode) & 0o7777,
		MTime: nanoseconds(st.Mtime), CTime: nanoseconds(st.Ctime),
		Device: unix.Mkdev(st.Dev_major, st.Dev_minor), Inode: st.Ino, Links: uint64(st.Nlink),
	}
	if kind == archive.KindFile || kind == archive.KindSymlink {
		e.Size = int64(st.Size)
	}
	if st.Attributes&attrUnseen != 0 {
		e.CTime = 0
	}
	return e
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }
