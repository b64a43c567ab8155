package archive

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// writeSize is how much is written at once, in bytes.
const writeSize = 128 << 10

// Writer puts one uncompressed pax archive together from several places. Names are
// taken as they come: whoever adds one twice, or something below a file, gets an
// archive that Unpack refuses. The first error is the last: what it returns, all
// later calls return too.
//
// A Writer is not for several goroutines at once. Close ends the archive and does
// not close what is written to.
type Writer struct {
	walk   *walker
	buf    *bufio.Writer
	tar    *tar.Writer
	counts Counts
	chunk  []byte
	err    error
}

// NewWriter starts an archive. The limits and policies of opts are for all that is
// added; ctx stops what takes long.
func NewWriter(ctx context.Context, w io.Writer, opts PackOptions) *Writer {
	out := &Writer{buf: bufio.NewWriterSize(w, writeSize), chunk: make([]byte, bufferSize)}
	out.tar = tar.NewWriter(out.buf)
	out.walk = newWalker(ctx, opts, out)
	return out
}

// Add writes what is at path below root as Pack does, with names under prefix, a
// relative path; "" means none. Neither the directory at path itself nor those of
// prefix become members. A file that was added under another name before, by
// whichever root, becomes a hard link to it.
func (w *Writer) Add(root *Root, path, prefix string) (Kind, error) {
	if w.err != nil {
		return "", w.err
	}
	parts, err := split(prefix)
	if err != nil {
		return "", w.fail(pathError("pack", prefix, err))
	}
	if prefix = strings.Join(parts, "/"); prefix != "" {
		prefix += "/"
	}
	kind, err := w.walk.top(root, path, prefix)
	return kind, w.fail(err)
}

// AddFile writes a file that is not on a disk. mode has twelve bits.
func (w *Writer) AddFile(name string, mode uint32, mtime time.Time, content []byte) error {
	return w.add(name, func(name string) error {
		s := status{mode: mode & 0o7777, mtime: wholeSeconds(mtime), size: int64(len(content))}
		if _, _, err := w.walk.file(name, s); err != nil {
			return err
		}
		if err := w.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: s.size}, s); err != nil {
			return err
		}
		n, err := w.tar.Write(content)
		w.counts.Bytes += int64(n)
		return err
	})
}

// AddDir writes a directory without content.
func (w *Writer) AddDir(name string, mode uint32, mtime time.Time) error {
	return w.add(name, func(name string) error {
		return w.header(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/"}, status{mode: mode & 0o7777, mtime: wholeSeconds(mtime)})
	})
}

// Close ends the archive and tells what is in it, also after an error, which it
// repeats.
func (w *Writer) Close() (Counts, error) {
	if w.err == nil {
		w.err = errors.Join(w.tar.Close(), w.buf.Flush())
	}
	err := w.fail(w.err)
	if err == nil {
		w.err = errors.New("the archive has ended")
	}
	return w.counts, err
}

func (w *Writer) fail(err error) error {
	w.counts.Skipped = w.walk.skipped
	w.err = err
	return err
}

func (w *Writer) add(name string, write func(name string) error) error {
	if w.err != nil {
		return w.err
	}
	parts, err := memberParts(name, w.walk.opts.Limits)
	if err == nil {
		clean := strings.Join(parts, "/")
		if err = errors.Join(w.walk.stopped(), w.walk.within(clean, len(parts))); err == nil {
			w.walk.seen++
			err = w.told(write(clean))
		}
	}
	return w.fail(pathError("pack", name, err))
}

// directory implements visitor.
func (w *Writer) directory(name, path string, s status) error {
	if only := w.walk.opts.Only; only != nil && !only(path, s.info(name)) {
		return nil
	}
	return w.told(w.header(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/"}, s))
}

// leaf implements visitor.
func (w *Writer) leaf(at dir, name, path string, s status) error {
	if only := w.walk.opts.Only; only != nil && !only(path, s.info(name)) {
		return nil
	}
	if s.kind == KindFile {
		return w.told(w.file(at, name, path))
	}
	target, err := at.target(name)
	if err != nil {
		return err
	}
	return w.told(w.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: target}, s))
}

func (w *Writer) file(at dir, name, path string) error {
	fd, s, err := at.reader(name)
	if err != nil {
		return raced(err)
	}
	defer unix.Close(fd)
	first, again, err := w.walk.file(path, s)
	if err != nil {
		return err
	}
	if again {
		return w.header(&tar.Header{Typeflag: tar.TypeLink, Name: path, Linkname: first}, s)
	}
	if err := w.header(&tar.Header{Typeflag: tar.TypeReg, Name: path, Size: s.size}, s); err != nil {
		return err
	}
	return w.content(fd, s.size)
}

// content copies size bytes.
func (w *Writer) content(fd int, size int64) error {
	for left := size; left > 0; {
		if err := w.walk.stopped(); err != nil {
			return err
		}
		n, err := unix.Read(fd, w.chunk[:min(left, int64(len(w.chunk)))])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("%w: %d bytes are left of %d", ErrChanged, size-left, size)
		}
		if _, err := w.tar.Write(w.chunk[:n]); err != nil {
			return err
		}
		left -= int64(n)
		w.counts.Bytes += int64(n)
	}
	return nil
}

func (w *Writer) header(hdr *tar.Header, s status) error {
	hdr.Format = tar.FormatPAX
	hdr.Mode = int64(s.mode)
	hdr.ModTime = s.mtime
	if err := w.tar.WriteHeader(hdr); err != nil {
		return err
	}
	w.counts.Entries++
	return nil
}

// told reports progress after a member that is whole.
func (w *Writer) told(err error) error {
	if seen := w.walk.opts.Seen; seen != nil && err == nil {
		w.counts.Skipped = w.walk.skipped
		seen(w.counts)
	}
	return err
}

func wholeSeconds(t time.Time) time.Time { return time.Unix(t.Unix(), 0) }
