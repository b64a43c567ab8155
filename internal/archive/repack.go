package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Repack reads an archive as users make them and writes the same tree as a clean
// pax archive, which every rule of Unpack admits: names without "./" and doubled
// slashes, the entry "./" itself left out, sparse files spread out, times in whole
// seconds, no owners and extended attributes, twelve bits of mode. Symlinks are data
// whatever they name; hard links stay what they are, to earlier files.
//
// It takes v7, ustar, pax and GNU archives, with long names and sparse files of each
// kind. Of what comes twice both are written, and unpacking replaces the first by the
// last; that one kind of thing takes the place of another is an error (fs.ErrExist),
// as are names that are empty, absolute or have a part "..", something below a file
// or a link, and a hard link to what is not there, or was left out. Errors name the
// member. Special files are errors or are left out, as opts say.
//
// r is read to its end and w holds nothing back; after an error it has got a broken
// archive. Memory is about 50 bytes for each name, and what decompression takes.
func Repack(ctx context.Context, w io.Writer, r io.Reader, opts RepackOptions) (Counts, error) {
	limits := opts.Limits.withDefaults()
	s, err := newStream(ctx, r, opts.Formats, limits)
	if err != nil {
		return Counts{}, err
	}
	out := NewWriter(ctx, w, PackOptions{Limits: limits, Seen: opts.Seen})
	p := &repacker{opts: opts, limits: limits, shape: newShape(limits), out: out}
	if opts.Names.fresh != nil {
		p.judge = opts.Names.fresh()
	}
	for {
		hdr, err := s.next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			err = out.fail(err)
			return out.counts, err
		}
		if err := p.member(hdr, s.tar); err != nil {
			err = out.fail(pathError("read", hdr.Name, err))
			return out.counts, err
		}
	}
}

type repacker struct {
	opts   RepackOptions
	limits Limits
	shape  *shape
	out    *Writer
	left   leftOut
	judge  nameJudge // nil: every name will do
}

func (p *repacker) member(hdr *tar.Header, body io.Reader) error {
	if err := p.shape.see(); err != nil {
		return err
	}
	if ignored(hdr) {
		return p.leave(hdr, body)
	}
	if hdr.Typeflag == typeDumpDir {
		hdr.Typeflag = tar.TypeDir
	}
	m, err := newMember(hdr, p.limits)
	if err != nil {
		return err
	}
	if p.left.out(m, p.opts.Skip) {
		p.shape.seen-- // it costs no entry
		return p.leave(hdr, body)
	}
	if p.judge != nil {
		if err := p.judge(m.name); err != nil {
			return err
		}
	}
	content := body
	if p.opts.Admit != nil && m.kind != KindSpecial {
		if content, err = admit(p.opts.Admit, hdr, body, p.limits, p.out.chunk); err != nil || content == nil {
			return err
		}
	}
	if err := p.write(m, hdr, content); err != nil {
		return err
	}
	return p.leave(hdr, body)
}

func (p *repacker) leave(hdr *tar.Header, body io.Reader) error {
	return discard(hdr, body, p.limits, p.out.chunk)
}

func (p *repacker) write(m named, hdr *tar.Header, body io.Reader) error {
	clean := &tar.Header{Name: m.name, Typeflag: tar.TypeReg}
	s := status{mode: uint32(hdr.Mode) & 0o7777, mtime: wholeSeconds(hdr.ModTime)}
	if p.opts.Plain {
		s.mode &= 0o777
	}
	var err error
	switch {
	case m.kind == KindSpecial:
		return p.special()
	case m.linkTo != "":
		clean.Typeflag, clean.Linkname = tar.TypeLink, m.linkTo
		_, err = p.shape.link(m.name, m.linkTo)
	case m.kind == KindFile:
		clean.Size = hdr.Size
		if err = p.shape.put(m.name, node{kind: nodeFile}); err == nil {
			return p.out.copy(clean, s, body)
		}
	case m.kind == KindSymlink:
		clean.Typeflag, clean.Linkname = tar.TypeSymlink, hdr.Linkname
		err = p.shape.put(m.name, node{kind: nodeSymlink})
	default:
		clean.Typeflag, clean.Name = tar.TypeDir, m.name+"/"
		err = p.shape.put(m.name, node{kind: nodeDirectory})
	}
	if err != nil {
		return err
	}
	return p.out.told(p.out.header(clean, s))
}

func (p *repacker) special() error {
	if p.opts.Specials == SpecialsRefused {
		return ErrSpecial
	}
	p.out.walk.skipped++
	return p.out.told(nil)
}

// sparse knows files whose holes are not in the archive.
func sparse(hdr *tar.Header) bool {
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return hdr.Typeflag == tar.TypeGNUSparse
}

// copy writes a file that comes from another archive.
func (w *Writer) copy(hdr *tar.Header, s status, body io.Reader) error {
	if left := w.walk.opts.Limits.Bytes - w.counts.Bytes; hdr.Size > left {
		return fmt.Errorf("%w: more than %d bytes of files", ErrLimit, w.walk.opts.Limits.Bytes)
	}
	if err := w.header(hdr, s); err != nil {
		return err
	}
	for left := hdr.Size; left > 0; {
		n, err := io.ReadFull(body, w.chunk[:min(left, int64(len(w.chunk)))])
		if err != nil {
			return formatError(unexpected(err))
		}
		if _, err := w.tar.Write(w.chunk[:n]); err != nil {
			return err
		}
		left -= int64(n)
		w.counts.Bytes += int64(n)
	}
	return w.told(nil)
}

// What GNU tar has beside members: a directory with a list of what was in it, from
// --listed-incremental, and a name for the volume, from --label.
const (
	typeDumpDir = 'D'
	typeVolume  = 'V'
)

// ignored: no member, or the tree itself, which is there already.
func ignored(hdr *tar.Header) bool {
	switch hdr.Typeflag {
	case tar.TypeXGlobalHeader, typeVolume:
		return true
	case tar.TypeDir, typeDumpDir:
		return hdr.Name != "" && strings.Trim(hdr.Name, "./") == "" && !strings.HasPrefix(hdr.Name, "/") && !strings.Contains(hdr.Name, "..")
	}
	return false
}

// leftOut asks Skip about members and the directories above them, about the same
// directory not twice in a row.
type leftOut struct {
	parent  string // the last one asked about; "" is never left out
	skipped bool   // and what came of it
}

func (l *leftOut) out(m named, skip func(name string, dir bool) bool) bool {
	if skip == nil {
		return false
	}
	if parent := parentOf(m.name); parent != l.parent {
		l.parent, l.skipped = parent, false
		for above := range parents(m.name) {
			if l.skipped = skip(above, true); l.skipped {
				break
			}
		}
	}
	return l.skipped || skip(m.name, m.kind == KindDirectory)
}
