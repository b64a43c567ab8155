package supervisor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/autorun"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// side is a file, symlink or directory as it is on one side of a diff.
type side struct {
	kind    archive.Kind // empty: there is nothing
	mode    uint32       // twelve bits
	size    int64        // of a file
	target  string       // of a symlink
	content io.ReaderAt  // of a file; nil where nobody needs it, or it is too long
	digest  [sha256.Size]byte
	unread  bool   // a file that is too long to be read
	why     string // it would run by itself, for more than its name; empty: its name tells
}

func (d *side) exists() bool { return d.kind != "" }

// equal reports whether there is no difference.
func (d *side) equal(other *side) bool {
	if d.kind != other.kind || d.kind != archive.KindSymlink && d.mode != other.mode {
		return false
	}
	return d.sameContent(other) && d.target == other.target
}

func (d *side) sameContent(other *side) bool { return d.size == other.size && d.digest == other.digest }

// Bounds of what is fetched at once: an archive of that much lies on this machine's disk
// for a moment.
const (
	batchBytes = 256 << 20
	batchCount = 20_000
	batchSlack = 64 << 10 // bytes of an archive for each member, beside the content
)

// fetcher brings what a workspace and a former tree hold.
type fetcher struct {
	s       *supervisor
	b       *box
	before  contents // nil: nobody asks what files held
	longest int64    // files that are longer are not read, in bytes
	bare    *autorun.Bare
	sum     int64 // bytes of files that were asked for
}

// batches parts changes, in their order, so that what is fetched for each part is bounded.
func (f *fetcher) batches(changes []difference) iter.Seq[[]difference] {
	return func(yield func([]difference) bool) {
		from, bytes, count := 0, int64(0), 0
		for i := range changes {
			if !f.fetches(&changes[i]) {
				continue
			}
			size := changes[i].now.size
			if count > 0 && (bytes+size > batchBytes || count == batchCount) {
				if !yield(changes[from:i]) {
					return
				}
				from, bytes, count = i, 0, 0
			}
			bytes, count = bytes+size, count+1
		}
		if from < len(changes) {
			yield(changes[from:])
		}
	}
}

// fetches reports whether the content of what is there now has to come from the guest.
func (f *fetcher) fetches(c *difference) bool {
	return c.need == needContent && c.now.size <= f.longest
}

// pulled is what came from the guest, in a file that has no name any more.
type pulled struct {
	f     *os.File
	index tarIndex
}

func (p *pulled) close() {
	if p.f != nil {
		_ = p.f.Close()
	}
}

// namesRoom is for the names of what takes no room on a disk, such as empty files.
const namesRoom = 256 << 20

// mostOut is how many bytes may be taken out of the workspace at once: what its disk holds.
// A file with holes may be as long as it likes, and would fill the disk of this machine.
func (s *supervisor) mostOut() int64 {
	if !isolates(s.box().engine) {
		return archive.TreeLimits.Bytes
	}
	return int64(s.recorded().Request.DiskMiB)<<20 + namesRoom
}

func (s *supervisor) tooMuchOut() error {
	return &api.Error{
		Kind: api.Invalid, Hint: "files with holes are written out in full: delete them, or take out what you need by path",
		Err: fmt.Errorf("more would come out than its disk of %d MiB can hold", s.recorded().Request.DiskMiB),
	}
}

// errMoved is why what was found cannot be told: it is not there any more as it was found.
var errMoved = &api.Error{
	Kind: api.Conflict, Hint: "do it again when less is written there",
	Err: errors.New("the workspace changed while it was read"),
}

// pull fetches what is there now of changes. It trusts nothing of what comes but that it
// came from the guest.
func (f *fetcher) pull(ctx context.Context, changes []difference) (*pulled, error) {
	request, most := wire.PullRequest{Path: api.WorkspacePath}, int64(1<<20)
	wanted := make(map[string]bool)
	for i := range changes {
		if c := &changes[i]; f.fetches(c) {
			request.Only = append(request.Only, []byte(c.path))
			most += c.now.size + batchSlack
			f.sum += c.now.size
			wanted[c.path] = true
		}
	}
	if len(wanted) == 0 {
		return &pulled{}, nil
	}
	if f.sum > f.s.mostOut() {
		return nil, f.s.tooMuchOut()
	}
	scratch, err := f.s.scratchFile()
	if err != nil {
		return nil, err
	}
	p := &pulled{f: scratch}
	if _, err = f.b.agent().Pull(ctx, request, &atMostBytes{scratch, most, errMoved}); err == nil {
		err = p.read(ctx, wanted)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// atMostBytes takes no more than was told: files have grown, or the guest sends what
// nobody asked for.
type atMostBytes struct {
	io.Writer
	left int64
	over error // what is said when more comes
}

// Write implements io.Writer.
func (w *atMostBytes) Write(p []byte) (int, error) {
	if w.left -= int64(len(p)); w.left < 0 {
		return 0, w.over
	}
	return w.Writer.Write(p)
}

func (p *pulled) read(ctx context.Context, wanted map[string]bool) error {
	info, err := p.f.Stat()
	if err != nil {
		return err
	}
	if p.index, err = indexTar(ctx, p.f, info.Size(), wanted); err != nil {
		return fmt.Errorf("what came from the guest: %w", err)
	}
	return nil
}

// scratchFile makes a file in the workspace's directory that is gone when it is closed.
func (s *supervisor) scratchFile() (*os.File, error) {
	f, err := os.CreateTemp(s.held.Path(), "diff-")
	if err != nil {
		return nil, sys.Explain("keep what comes from the guest", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// now is what is there now, as far as it can be told: content that was fetched says what
// it is.
func (f *fetcher) now(p *pulled, c *difference) (*side, error) {
	switch {
	case c.now == nil:
		return &side{}, nil
	case !f.fetches(c):
		return c.told(), nil
	}
	members := p.index[c.path]
	if len(members) == 0 {
		return &side{}, nil // it went meanwhile
	}
	m := members[len(members)-1]
	if m.kind == archive.KindDirectory {
		return nil, errMoved // what is in it was not looked at
	}
	d := &side{kind: m.kind, mode: m.mode, size: m.size, target: m.target}
	if m.kind != archive.KindFile {
		return d, nil
	}
	if d.unread = m.size > f.longest; d.unread {
		return d, nil
	}
	var err error
	if d.content, d.digest, err = m.content(p.f); err != nil {
		return nil, fmt.Errorf("what came from the guest: %w", err)
	}
	return d, nil
}

// told is what there is now where nothing was fetched: what the walk told, which is all
// there is of links and directories; a file whose mode alone is another; or one that is too
// long to be read.
func (c *difference) told() *side {
	d := &side{kind: c.now.kind, mode: c.now.mode, target: c.now.target}
	if d.kind != archive.KindFile {
		return d
	}
	d.size = c.now.size
	if d.unread = c.need == needContent; !d.unread {
		d.digest = c.old.digest
	}
	return d
}

// was is what there was, with its content if now does not have the same.
func (f *fetcher) was(c *difference, now *side) (*side, error) {
	if c.old == nil {
		return &side{}, nil
	}
	n := c.old
	d := &side{kind: n.kind, mode: n.mode, size: n.size, target: n.target, digest: n.digest}
	if d.kind != archive.KindFile || now.kind == archive.KindFile && d.sameContent(now) || f.before == nil {
		return d, nil
	}
	if d.unread = n.size > f.longest; d.unread {
		return d, nil
	}
	var err error
	d.content, err = f.before.read(n)
	return d, err
}
