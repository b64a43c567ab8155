package supervisor

import (
	"bytes"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// comparison finds out, from a former tree and from what a walk of the guest tells, what
// may have changed. It is fed the entries of the walk in their order, and then ended.
//
// What is compared are files, symlinks and empty directories. A directory that was empty,
// and is not any more, is no change. One that has become empty is added: by what went
// alone nobody could tell it from one that went with it.
type comparison struct {
	old    []node                        // in the order of a walk
	wanted func(string) bool             // which paths are asked about
	known  func(int, *fileStamp) verdict // of a file of old that may be as it was; see scan

	i        int             // of old, the first that comes after what was seen
	pending  *wire.WalkEntry // a directory of which it is not known yet whether it is empty
	changes  []difference
	stamps   []fileStamp // of files that were not hashed, in the order of old
	specials []string
}

// difference is a path where something may not be as it was.
type difference struct {
	path string
	old  *node // nil: it was not there
	now  *seen // nil: it is not there
	at   int   // of old, in its tree
	need need
}

// seen is what a walk told.
type seen struct {
	kind   archive.Kind
	mode   uint32
	size   int64
	target string
	stamp  fileStamp
}

// need is what is still to be done to know a change.
type need int

const (
	needNothing need = iota // all is known
	needDigest              // whether the content is another
	needContent             // the content, which is another or new
)

// fileStamp is what tells that a file has not been written to.
type fileStamp struct {
	at            int // the file, of the former tree
	device, inode uint64
	ctime         int64 // nanoseconds
	same          bool  // its content is that of the former tree
}

// verdict is what an earlier scan knows of a file.
type verdict int

const (
	unknown verdict = iota
	same
	different
)

// see takes the next entry of a walk.
func (c *comparison) see(e *wire.WalkEntry) {
	if dir := c.pending; dir != nil {
		c.pending = nil
		c.place(dir, !isBelow(string(e.Path), string(dir.Path)))
	}
	if archive.Kind(e.Kind) == archive.KindDirectory {
		c.pending = e
		return
	}
	c.place(e, false)
}

// end is called after the last entry.
func (c *comparison) end() {
	if c.pending != nil {
		c.place(c.pending, true)
		c.pending = nil
	}
	for ; c.i < len(c.old); c.i++ {
		c.gone(c.i)
	}
	slices.SortFunc(c.changes, func(a, b difference) int { return strings.Compare(a.path, b.path) })
}

// place finds the place of an entry in the former tree.
func (c *comparison) place(e *wire.WalkEntry, empty bool) {
	path := string(e.Path)
	for ; c.i < len(c.old) && wire.CompareWalked(c.old[c.i].path, path) < 0; c.i++ {
		c.gone(c.i)
	}
	now := seen{
		kind: archive.Kind(e.Kind), mode: e.Mode, size: e.Size, target: string(e.Target),
		stamp: fileStamp{at: c.i, device: e.Device, inode: e.Inode, ctime: e.CTime},
	}
	if c.i < len(c.old) && c.old[c.i].path == path {
		c.both(c.i, &now, empty)
		c.i++
		return
	}
	if c.counts(path, &now, empty) {
		c.note(difference{path: path, now: &now, need: contentOf(&now)})
	}
}

// counts reports whether what is there is compared at all.
func (c *comparison) counts(path string, now *seen, empty bool) bool {
	switch now.kind {
	case archive.KindDirectory:
		return empty
	case archive.KindFile, archive.KindSymlink:
		return true
	}
	if c.wanted(path) {
		c.specials = append(c.specials, path)
	}
	return false
}

// note keeps a change that was asked about.
func (c *comparison) note(d difference) {
	if c.wanted(d.path) {
		c.changes = append(c.changes, d)
	}
}

// wasEmpty reports whether a node is a directory with nothing in it.
func (c *comparison) wasEmpty(i int) bool {
	return c.old[i].kind == archive.KindDirectory && (i+1 == len(c.old) || !isBelow(c.old[i+1].path, c.old[i].path))
}

// gone notes that a node is not there any more.
func (c *comparison) gone(i int) {
	if n := &c.old[i]; n.kind != archive.KindDirectory || c.wasEmpty(i) {
		c.note(difference{path: n.path, old: n, at: i})
	}
}

// both compares what was and is under one path.
func (c *comparison) both(i int, now *seen, empty bool) {
	n := &c.old[i]
	counts := c.counts(n.path, now, empty)
	switch {
	case n.kind == archive.KindDirectory && now.kind == archive.KindDirectory && c.wasEmpty(i):
		if empty && n.mode != anyMode && n.mode != now.mode {
			c.note(difference{path: n.path, old: n, now: now, at: i})
		}
	case n.kind == archive.KindDirectory && !c.wasEmpty(i):
		if counts {
			c.note(difference{path: n.path, now: now, need: contentOf(now)})
		}
	case !counts:
		c.note(difference{path: n.path, old: n, at: i})
	case n.kind == archive.KindFile && now.kind == archive.KindFile:
		c.files(i, now)
	case n.kind != now.kind || n.target != now.target:
		c.note(difference{path: n.path, old: n, now: now, at: i, need: contentOf(now)})
	}
}

// files compares a file with what it was.
func (c *comparison) files(i int, now *seen) {
	n := &c.old[i]
	changed := difference{path: n.path, old: n, now: now, at: i, need: needContent}
	if n.size != now.size {
		c.note(changed)
		return
	}
	known := unknown
	if c.known != nil {
		known = c.known(i, &now.stamp)
	}
	switch known {
	case same:
		now.stamp.same = true
		c.stamps = append(c.stamps, now.stamp)
		if n.mode == now.mode {
			return
		}
		changed.need = needNothing
	case different:
		c.stamps = append(c.stamps, now.stamp)
	case unknown:
		changed.need = needDigest
	}
	c.note(changed)
}

// contentOf is what is needed of something that is new.
func contentOf(now *seen) need {
	if now.kind == archive.KindFile {
		return needContent
	}
	return needNothing
}

// hashed takes what the guest says of the content of a file. It reports whether the file
// is still a change.
func (c *difference) hashed(d *wire.FileDigest) (changed bool) {
	c.need = needContent
	if d.Err != "" || d.Size != c.old.size {
		return true
	}
	c.now.mode = d.Mode
	c.now.stamp.same = bytes.Equal(d.SHA256, c.old.digest[:])
	if !c.now.stamp.same {
		return true
	}
	c.need = needNothing
	return c.now.mode != c.old.mode
}
