package supervisor

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// member is a member of an archive, and where in it the content lies.
type member struct {
	kind   archive.Kind
	mode   uint32 // twelve bits
	target string // of a symlink
	from   int64  // of a file: the first byte
	size   int64  // of a file
}

// tarIndex has the members of an archive by path. A path may be there several times.
type tarIndex map[string][]member

// indexTar reads the headers of an archive of that size and skips what lies between them. It
// notes the members that are wanted. What it says is as good as the archive.
func indexTar(ctx context.Context, r io.ReaderAt, size int64, wanted map[string]bool) (tarIndex, error) {
	index := make(tarIndex)
	at := &window{r: r, size: size}
	in := tar.NewReader(at)
	for ctx.Err() == nil {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return index, nil
		}
		if err != nil {
			return nil, fmt.Errorf("archive: %w", err)
		}
		name := strings.TrimSuffix(head.Name, "/")
		if head.Typeflag == tar.TypeXGlobalHeader || !wanted[name] {
			continue
		}
		if err := index.add(name, head, at.next, size); err != nil {
			return nil, fmt.Errorf("archive: %q: %w", head.Name, err)
		}
	}
	return nil, context.Cause(ctx)
}

var (
	errForeignMember = errors.New("is of a kind that is not expected there")
	errCutMember     = errors.New("is cut off")
)

// add adds a member whose content begins at from.
func (x tarIndex) add(name string, head *tar.Header, from, size int64) error {
	m := member{mode: uint32(head.Mode) & 0o7777}
	switch head.Typeflag {
	case tar.TypeReg:
		for key := range head.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") { // its bytes are not the content
				return errForeignMember
			}
		}
		if m.kind, m.from, m.size = archive.KindFile, from, head.Size; head.Size > size-from {
			return errCutMember
		}
	case tar.TypeLink:
		first := x[head.Linkname]
		if len(first) == 0 || first[len(first)-1].kind != archive.KindFile {
			return errForeignMember
		}
		m = first[len(first)-1]
	case tar.TypeSymlink:
		m.kind, m.target = archive.KindSymlink, head.Linkname
	case tar.TypeDir:
		m.kind = archive.KindDirectory
	default:
		return errForeignMember
	}
	x[name] = append(x[name], m)
	return nil
}

// content is what a file of an archive holds, and its digest.
func (m *member) content(r io.ReaderAt) (io.ReaderAt, [sha256.Size]byte, error) {
	body := io.NewSectionReader(r, m.from, m.size)
	sum := sha256.New()
	n, err := io.Copy(sum, body)
	if err == nil && n < m.size {
		err = errCutMember
	}
	return body, [sha256.Size]byte(sum.Sum(nil)), err
}

// window reads a file a piece at a time and skips what nobody asks for.
type window struct {
	r     io.ReaderAt
	size  int64
	next  int64 // of the file, the byte that is read next
	buf   []byte
	held  []byte // of buf, what begins at next
	piece int64  // how much is read next, in bytes
}

// A piece is small after a file was skipped, which may be one of many, and grows as long as
// nothing is: where files are small it has a few headers and what is between them.
const (
	minWindow = 2 << 10
	maxWindow = 16 << 10
)

// Read implements io.Reader.
func (w *window) Read(p []byte) (int, error) {
	if len(w.held) == 0 {
		if w.next >= w.size {
			return 0, io.EOF
		}
		if w.buf == nil {
			w.buf = make([]byte, maxWindow)
		}
		w.piece = max(w.piece, minWindow)
		n, err := w.r.ReadAt(w.buf[:min(w.piece, w.size-w.next)], w.next)
		if n == 0 {
			return 0, err
		}
		w.piece = min(2*w.piece, maxWindow)
		w.held = w.buf[:n]
	}
	n := copy(p, w.held)
	w.held, w.next = w.held[n:], w.next+int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (w *window) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.next
	case io.SeekEnd:
		offset += w.size
	}
	if offset < 0 {
		return w.next, errors.New("seek before the beginning")
	}
	if ahead := offset - w.next; ahead >= 0 && ahead <= int64(len(w.held)) {
		w.held = w.held[ahead:]
	} else {
		w.held, w.piece = nil, minWindow
	}
	w.next = offset
	return offset, nil
}

// placedFiles are the files of a seed of which it was noted where in the archive they lie.
type placedFiles struct {
	tar  *os.File
	size int64 // of the archive, in bytes
}

// read implements contents.
func (f placedFiles) read(n *node) (io.ReaderAt, error) {
	if n.from <= 0 || n.from > f.size || n.size > f.size-n.from {
		return nil, damagedSeed(n.path)
	}
	m := member{kind: n.kind, from: n.from, size: n.size}
	body, digest, err := m.content(f.tar)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the seed: %w", err)
	case digest != n.digest:
		return nil, damagedSeed(n.path)
	}
	return body, nil
}

func (f placedFiles) close() { _ = f.tar.Close() }

// seedFiles are the files of a seed of which that was not noted: all headers of its archive
// have to be read.
type seedFiles struct {
	tree  *seedTree
	tar   *os.File
	index tarIndex
}

// read implements contents. Of several files of that name it is the one that was put in
// place last, or one that a hard link to it outlived: the digest tells.
func (f *seedFiles) read(n *node) (io.ReaderAt, error) {
	for _, m := range slices.Backward(f.index[f.tree.member(n.path)]) {
		if m.kind != archive.KindFile || m.size != n.size {
			continue
		}
		body, digest, err := m.content(f.tar)
		if err != nil {
			return nil, fmt.Errorf("read the seed: %w", err)
		}
		if digest == n.digest {
			return body, nil
		}
	}
	return nil, damagedSeed(n.path)
}

func (f *seedFiles) close() { _ = f.tar.Close() }
