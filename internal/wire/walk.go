package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// ActionWalk tells what is in a directory.
const ActionWalk = "walk_tree"

// Special is a device, FIFO or socket: the kind of a WalkEntry, and of no ArtifactType
// that the base protocol knows.
const Special = "special"

// WalkRequest asks what is at a path and below it. The answer is a fetch: data frames
// that hold whole records (see WalkWriter), the first of them of what Path itself is,
// and a WalkReply.
type WalkRequest struct {
	Action    string `json:"action"`    // ActionWalk
	Path      string `json:"path"`      // /workspace, or below it; /workspace
	Recursive bool   `json:"recursive"` // all that is below; else what is in the directory itself

	// MaxEntries is how many there may be below Path; more are an error. 0 is
	// MaxTreeEntries, which is the most.
	MaxEntries int `json:"max_entries"`
}

// WalkReply says what was walked.
type WalkReply struct {
	Path  string `json:"path"`     // absolute in the guest
	Count int64  `json:"count"`    // of the entries below it
	Clock int64  `json:"clock_ns"` // of the guest when the walk began, nanoseconds since 1970

	// Batched is of how many the kernel told many at once, which is faster.
	Batched int64 `json:"batched,omitempty"`

	Root WalkEntry `json:"-"` // what Path itself is; its own Path is empty
}

// WalkEntry is a thing in a tree as lstat(2) has it. Times are nanoseconds since 1970,
// and wrap beyond the year 2262.
type WalkEntry struct {
	Path   []byte // below the path that was asked for, as "a/b"
	Kind   string // file, directory, symlink or special
	Mode   uint32 // twelve bits
	Size   int64  // of a file its length, of a symlink that of its target, else 0
	MTime  int64
	CTime  int64 // of the inode, which no user can set; 0: the content may change without it
	Device uint64
	Inode  uint64 // of two entries with the same Device and Inode both are the same file
	Links  uint64 // names that it has
	Target []byte // of a symlink
}

// kindOfLetter is the kind that a record has; empty: none.
func kindOfLetter(letter byte) string {
	switch letter {
	case 'f':
		return string(File)
	case 'd':
		return string(Directory)
	case 'l':
		return string(Symlink)
	case 's':
		return Special
	}
	return ""
}

// namesEach bounds the names and targets of a walk together, in bytes for each entry
// that it may have: what is kept of a walk has a bound that is not that of the longest
// names.
const namesEach = 256

// Walk tells what is at a path of the workspace, and calls each for everything below
// it. Entries come in strict order: names by their bytes, each directory right before
// what is in it. So no path comes twice, and every one leads through directories that
// came before. Links are not followed; devices, FIFOs and sockets are told as Special.
// What vanishes meanwhile is left out. The entry is the callee's to keep.
//
// An error of each ends the walk and is returned as it is. There may be 60 s between
// two pieces, and in all 60 s and a millisecond for each entry.
func (c *Client) Walk(ctx context.Context, r WalkRequest, each func(*WalkEntry) error) (*WalkReply, error) {
	r.Action = ActionWalk
	if err := checkText(r.Action, r.Path); err != nil {
		return nil, err
	}
	if r.MaxEntries < 0 || r.MaxEntries > MaxTreeEntries {
		return nil, &api.Error{Kind: api.Invalid, Op: steps[r.Action], Err: fmt.Errorf("%d entries at most are asked for, allowed are 1 to %d", r.MaxEntries, MaxTreeEntries)}
	}
	reply := &WalkReply{Path: r.Path}
	d := newWalkDecoder(r)
	err := c.fetch(ctx, fetching{
		exchange: exchange{op: r.Action, request: r, into: reply, limit: MaxShortLine, timeout: archiveTimeout},
		take: func(p []byte) (time.Duration, error) {
			before := d.count
			err := d.decode(p, each)
			return time.Duration(d.count-before) * slowestWalk, err
		},
	})
	if err == nil {
		err = d.finish(reply)
	}
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// walkDecoder reads the records of a walk, whose order and bounds it checks.
type walkDecoder struct {
	recursive bool
	left      int // entries
	names     int // bytes
	count     int64
	root      *WalkEntry
	last      []byte // path
	inside    bool   // last is a directory
}

func newWalkDecoder(r WalkRequest) *walkDecoder {
	most := r.MaxEntries
	if most == 0 {
		most = MaxTreeEntries
	}
	return &walkDecoder{recursive: r.Recursive, left: most, names: most*namesEach + 1<<20}
}

// decode reads the records of one frame.
func (d *walkDecoder) decode(p []byte, each func(*WalkEntry) error) error {
	f := fields{rest: p}
	for len(f.rest) > 0 {
		e := new(WalkEntry)
		if err := d.next(&f, e); err != nil {
			return violated(fmt.Errorf("has an entry that %w", err))
		}
		if d.root == nil {
			d.root = e
			continue
		}
		d.count++
		if err := each(e); err != nil {
			return handed{err}
		}
	}
	return nil
}

// next reads one record.
func (d *walkDecoder) next(f *fields, e *WalkEntry) error {
	e.Kind = kindOfLetter(f.letter())
	shared := f.number()
	name := f.text()
	mode, size := f.number(), f.number()
	e.MTime, e.CTime = f.signed(), f.signed()
	e.Device, e.Inode, e.Links = f.number(), f.number(), f.number()
	if e.Kind == string(Symlink) {
		e.Target = slices.Clone(f.text())
	}
	switch {
	case f.err != nil:
		return f.err
	case e.Kind == "":
		return errors.New("is of no known kind")
	case mode > 0o7777:
		return fmt.Errorf("has the mode %#o", mode)
	case size > math.MaxInt64:
		return fmt.Errorf("has the size %d", size)
	case e.Kind == string(Symlink) && (len(e.Target) == 0 || len(e.Target) > MaxTreePath || bytes.IndexByte(e.Target, 0) >= 0):
		return fmt.Errorf("leads to no possible path, of %d bytes", len(e.Target))
	case shared > uint64(len(d.last)) || shared+uint64(len(name)) > MaxTreePath:
		return fmt.Errorf("has a path of %d and %d bytes", shared, len(name))
	}
	e.Mode, e.Size = uint32(mode), int64(size)
	e.Path = append(make([]byte, 0, int(shared)+len(name)), d.last[:shared]...)
	e.Path = append(e.Path, name...)
	return d.place(e)
}

// place checks that an entry may come after the one before, and what they are together.
func (d *walkDecoder) place(e *WalkEntry) error {
	if d.root == nil {
		if len(e.Path) > 0 {
			return errors.New("comes before that of the path itself")
		}
		d.inside = e.Kind == string(Directory)
		return nil
	}
	if d.left--; d.left < 0 {
		return errors.New("is one more than was allowed")
	}
	if d.names -= len(e.Path) + len(e.Target); d.names < 0 {
		return errors.New("makes the names longer together than is allowed")
	}
	if err := checkTreePath(string(e.Path)); err != nil {
		return err
	}
	if err := d.follows(e.Path); err != nil {
		return fmt.Errorf("has the path %q, which %w", clip(string(e.Path), maxQuote), err)
	}
	d.last, d.inside = e.Path, e.Kind == string(Directory)
	return nil
}

func (d *walkDecoder) follows(path []byte) error {
	slash := bytes.LastIndexByte(path, '/')
	parent := path[:max(slash, 0)]
	switch {
	case !d.recursive && slash >= 0:
		return errors.New("is further below than was asked for")
	case CompareWalked(d.last, path) >= 0:
		return errors.New("does not come after the one before")
	case bytes.Equal(d.last, parent):
		if !d.inside {
			return errors.New("is below what is no directory")
		}
	case len(parent) > 0 && !(bytes.HasPrefix(d.last, parent) && d.last[len(parent)] == '/'):
		return errors.New("is in no directory that was told")
	}
	return nil
}

// CompareWalked compares two paths by the order of a walk, in which a directory is
// followed by what is in it: as bytes.Compare does where the slash comes before every
// byte of a name.
func CompareWalked[Path []byte | string](a, b Path) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		case a[i] < b[i]:
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}

// finish completes the reply.
func (d *walkDecoder) finish(reply *WalkReply) error {
	var err error
	switch {
	case d.root == nil:
		err = errors.New("does not say what the path itself is")
	case reply.Count != d.count:
		err = fmt.Errorf("counts %d entries, %d came", reply.Count, d.count)
	default:
		reply.Root = *d.root
		return nil
	}
	return &api.Error{Kind: api.Internal, Op: steps[ActionWalk], Err: violated(err)}
}

// WalkWriter makes the records of a walk. All of one piece go into one frame, where
// they may be any number. A record is the letter of the kind (f, d, l or s); how many
// bytes of the path are those of the record before; the other bytes of it; mode, size,
// times of modification and change, device, inode and number of links; and of a
// symlink its target. Numbers are varints as encoding/binary has them, both times
// signed; bytes have their number before them.
type WalkWriter struct {
	Piece []byte
	last  []byte
}

// Add appends the record of an entry. The first is of the path itself, and has none.
func (w *WalkWriter) Add(e *WalkEntry) {
	shared := 0
	for most := min(len(w.last), len(e.Path)); shared < most && w.last[shared] == e.Path[shared]; {
		shared++
	}
	w.last = append(w.last[:0], e.Path...)
	p := append(w.Piece, letterOf(e.Kind))
	p = binary.AppendUvarint(p, uint64(shared))
	p = appendText(p, e.Path[shared:])
	p = binary.AppendUvarint(p, uint64(e.Mode))
	p = binary.AppendUvarint(p, uint64(e.Size))
	p = binary.AppendVarint(p, e.MTime)
	p = binary.AppendVarint(p, e.CTime)
	p = binary.AppendUvarint(p, e.Device)
	p = binary.AppendUvarint(p, e.Inode)
	p = binary.AppendUvarint(p, e.Links)
	if e.Kind == string(Symlink) {
		p = appendText(p, e.Target)
	}
	w.Piece = p
}

func letterOf(kind string) byte {
	switch kind {
	case string(File):
		return 'f'
	case string(Directory):
		return 'd'
	case string(Symlink):
		return 'l'
	}
	return 's'
}

func (r *WalkReply) check() error {
	return errors.Join(notNegative("count", r.Count), notNegative("batched", r.Batched))
}
