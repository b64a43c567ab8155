package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"
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
	opts.Limits = opts.Limits.withDefaults()
	p := &packer{
		stopped: ctx.Err,
		tar:     tar.NewWriter(w),
		opts:    opts,
		names:   make(map[inode]string),
		buf:     make([]byte, bufferSize),
	}
	kind, err := p.top(root, path)
	if err == nil {
		err = p.tar.Close()
	}
	return p.counts, kind, err
}

type packer struct {
	stopped func() error
	tar     *tar.Writer
	opts    PackOptions
	counts  Counts
	names   map[inode]string // of files with several links: under which the first was written
	buf     []byte
}

func (p *packer) top(root *Root, path string) (Kind, error) {
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
		d, _, err := p.openDir(at, name)
		if err != nil {
			return s.kind, pathError("pack", path, err)
		}
		return s.kind, p.children(d, "", 1)
	case KindSpecial:
		return s.kind, pathError("pack", path, ErrSpecial)
	}
	return s.kind, p.entry(at, name, name, 0)
}

// openDir opens a directory for listing; children closes it.
func (p *packer) openDir(at dir, name string) (*os.File, status, error) {
	return at.file(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// children writes what is in the directory f, whose name in the archive is prefix,
// and closes f.
func (p *packer) children(f *os.File, prefix string, depth int) error {
	defer f.Close()
	names, err := listed(f, p.opts.Limits.Entries)
	if err != nil {
		return pathError("pack", prefix, err)
	}
	at := dir{fd: int(f.Fd()), lent: true}
	for _, name := range names {
		if err := p.entry(at, name, prefix+name, depth); err != nil {
			return err
		}
	}
	return nil
}

// entry writes name in at under the name path, and all below it.
func (p *packer) entry(at dir, name, path string, depth int) error {
	if err := errors.Join(p.stopped(), p.within(path, depth)); err != nil {
		return pathError("pack", path, err)
	}
	s, err := at.lstat(name)
	if err == nil {
		switch s.kind {
		case KindDirectory:
			return p.directory(at, name, path, depth)
		case KindFile:
			err = p.file(at, name, path)
		case KindSymlink:
			err = p.symlink(at, name, path, s)
		default:
			err = p.special()
		}
	}
	// Gone since its directory was listed.
	if err == unix.ENOENT && depth > 0 {
		return nil
	}
	return pathError("pack", path, err)
}

// within compares the next member with the limits.
func (p *packer) within(path string, depth int) error {
	switch limits := p.opts.Limits; {
	case p.counts.Entries+p.counts.Skipped >= limits.Entries:
		return fmt.Errorf("%w: more than %d entries", ErrLimit, limits.Entries)
	case len(path) > limits.NameBytes:
		return fmt.Errorf("%w: a name of %d bytes", ErrLimit, len(path))
	case depth > limits.Depth:
		return fmt.Errorf("%w: more than %d directories deep", ErrLimit, limits.Depth)
	}
	return nil
}

func (p *packer) directory(at dir, name, path string, depth int) error {
	f, s, err := p.openDir(at, name)
	if err == unix.ENOENT {
		return nil
	}
	if err == nil {
		err = p.header(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/"}, s)
		if err != nil {
			_ = f.Close()
		}
	}
	if err != nil {
		return pathError("pack", path, raced(err))
	}
	return p.children(f, path+"/", depth+1)
}

func (p *packer) file(at dir, name, path string) error {
	f, s, err := at.file(name, unix.O_RDONLY, 0)
	if err != nil {
		return raced(err)
	}
	defer f.Close()
	if s.kind != KindFile {
		return ErrChanged
	}
	if first, known := p.names[s.id]; known {
		return p.header(&tar.Header{Typeflag: tar.TypeLink, Name: path, Linkname: first}, s)
	}
	if s.links > 1 {
		p.names[s.id] = path
	}
	if left := p.opts.Limits.Bytes - p.counts.Bytes; s.size > left {
		return fmt.Errorf("%w: more than %d bytes of files", ErrLimit, p.opts.Limits.Bytes)
	}
	if err := p.header(&tar.Header{Typeflag: tar.TypeReg, Name: path, Size: s.size}, s); err != nil {
		return err
	}
	body := io.LimitReader(&meter{stopped: p.stopped, r: f, left: math.MaxInt64}, s.size)
	n, err := io.CopyBuffer(struct{ io.Writer }{p.tar}, body, p.buf)
	p.counts.Bytes += n
	if err == nil && n < s.size {
		err = fmt.Errorf("%w: %d bytes are left of %d", ErrChanged, n, s.size)
	}
	return err
}

func (p *packer) symlink(at dir, name, path string, s status) error {
	target, err := at.readlink(name, maxTarget)
	if err == unix.EINVAL {
		return ErrChanged
	}
	if err != nil {
		return err
	}
	return p.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: target}, s)
}

func (p *packer) special() error {
	if p.opts.Specials == SpecialsRefused {
		return ErrSpecial
	}
	p.counts.Skipped++
	return nil
}

func (p *packer) header(hdr *tar.Header, s status) error {
	hdr.Format = tar.FormatPAX
	hdr.Mode = int64(s.mode)
	hdr.ModTime = s.mtime
	if err := p.tar.WriteHeader(hdr); err != nil {
		return err
	}
	p.counts.Entries++
	return nil
}

// raced says what it means that something could not be opened as what it was a
// moment ago.
func raced(err error) error {
	if errors.Is(err, ErrSymlink) || errors.Is(err, ErrSpecial) || err == unix.ENOTDIR {
		return ErrChanged
	}
	return err
}
