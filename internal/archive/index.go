package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Entry is one member of a clean archive, as a manifest keeps it.
type Entry struct {
	Path    string // without a slash at the end
	Kind    Kind
	Mode    uint32   // twelve bits; of no meaning for a symlink
	Size    int64    // bytes, of a file; of a hard link that of the file
	ModTime int64    // seconds since 1970
	Target  string   // of a symlink
	LinkTo  string   // of a hard link: the path of an earlier file
	SHA256  [32]byte // of the content of a file, and so of a hard link
	From    int64    // of a file: the place in the archive where its content begins, in bytes; of a hard link that of the file
}

// Index reads an uncompressed archive to its end and calls each for every member, in
// order. What Unpack would refuse, because of the archive alone and with links
// allowed, is refused here too; special files are errors. A path that comes twice is
// told twice: the last is the one that stays.
//
// Of files the size and digest are held, for hard links: about 150 bytes for each
// member. An error of each ends the reading and is returned as it is.
func Index(ctx context.Context, r io.Reader, limits Limits, each func(Entry) error) (Counts, error) {
	limits = limits.withDefaults()
	x := &indexer{limits: limits, shape: newShape(limits), sum: sha256.New(), buf: make([]byte, copySize), each: each}
	s, err := newStream(ctx, r, TarOnly, limits)
	if err != nil {
		return Counts{}, err
	}
	for {
		hdr, err := s.next()
		if errors.Is(err, io.EOF) {
			return x.counts, nil
		}
		if err != nil {
			return x.counts, err
		}
		if err := x.shape.see(); err != nil {
			return x.counts, err
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		e, err := x.entry(hdr, s.tar, s.meter.taken)
		if err != nil {
			return x.counts, pathError("read", hdr.Name, err)
		}
		x.counts.Entries++
		if err := x.each(e); err != nil {
			return x.counts, err
		}
	}
}

type indexer struct {
	limits Limits
	shape  *shape
	counts Counts
	sum    hash.Hash
	buf    []byte
	files  []content
	each   func(Entry) error
}

// content is what a hard link to a file has to know.
type content struct {
	size   int64
	digest [32]byte
	from   int64
}

// entry describes a member whose body begins at from.
func (x *indexer) entry(hdr *tar.Header, body io.Reader, from int64) (Entry, error) {
	m, err := newMember(hdr, x.limits)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Path: m.name, Kind: m.kind, Mode: uint32(hdr.Mode) & 0o7777, ModTime: hdr.ModTime.Unix()}
	switch {
	case m.kind == KindSpecial:
		return e, ErrSpecial
	case m.linkTo != "":
		n, err := x.shape.link(m.name, m.linkTo)
		if err != nil {
			return e, err
		}
		first := &x.files[n.file]
		e.LinkTo, e.Size, e.SHA256, e.From = m.linkTo, first.size, first.digest, first.from
	case m.kind == KindFile:
		e.From = from
		return e, x.file(&e, hdr, body)
	case m.kind == KindSymlink:
		e.Target = hdr.Linkname
		return e, x.shape.put(m.name, node{kind: nodeSymlink})
	default:
		return e, x.shape.put(m.name, node{kind: nodeDirectory})
	}
	return e, nil
}

func (x *indexer) file(e *Entry, hdr *tar.Header, body io.Reader) error {
	if err := x.shape.put(e.Path, node{kind: nodeFile, file: int32(len(x.files))}); err != nil {
		return err
	}
	if hdr.Size > x.limits.Bytes-x.counts.Bytes {
		return fmt.Errorf("%w: more than %d bytes of files", ErrLimit, x.limits.Bytes)
	}
	x.sum.Reset()
	n, err := io.CopyBuffer(x.sum, body, x.buf)
	if err == nil && n != hdr.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return formatError(err)
	}
	x.counts.Bytes += n
	e.Size = n
	x.sum.Sum(e.SHA256[:0])
	x.files = append(x.files, content{size: n, digest: e.SHA256, from: e.From})
	return nil
}
