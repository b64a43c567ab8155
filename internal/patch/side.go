package patch

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Kind is what a name stands for. The words are those of archive.Kind.
type Kind string

// The kinds of things that git's format carries.
const (
	Absent  Kind = ""
	File    Kind = "file"
	Symlink Kind = "symlink"
)

// Side is one of the two states of a name. The zero Side is absent.
type Side struct {
	Kind    Kind
	Mode    uint32      // of a file; only the owner's right to execute (0100) counts
	Content io.ReaderAt // of a file, or the target of a symlink; read more than once
	Size    int64       // of Content, in bytes; fewer bytes than that are an error
}

// FileAt is a file whose content is read as it is needed.
func FileAt(mode uint32, content io.ReaderAt, size int64) Side {
	return Side{Kind: File, Mode: mode, Content: content, Size: size}
}

// Bytes is a file with its content.
func Bytes(mode uint32, content []byte) Side {
	return FileAt(mode, bytes.NewReader(content), int64(len(content)))
}

// Link is a symlink.
func Link(target string) Side {
	return Side{Kind: Symlink, Content: strings.NewReader(target), Size: int64(len(target))}
}

// gitMode is the mode as git writes it.
func (s Side) gitMode() string {
	switch {
	case s.Kind == Symlink:
		return "120000"
	case s.Mode&0o100 != 0:
		return "100755"
	default:
		return "100644"
	}
}

// open returns a reader of the whole content, which fails where it is shorter than told.
func (s Side) open() io.Reader {
	if s.Kind == Absent || s.Size == 0 {
		return bytes.NewReader(nil)
	}
	return &exactReader{r: io.NewSectionReader(s.Content, 0, s.Size), left: s.Size}
}

// read returns the whole content.
func (s Side) read() ([]byte, error) {
	content := make([]byte, s.Size)
	_, err := io.ReadFull(s.open(), content)
	if err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	return content, nil
}

// exactReader tells the end as an error when it comes too early.
type exactReader struct {
	r    io.Reader
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// equal reports whether two contents are the same bytes.
func equal(a, b Side) (bool, error) {
	if a.Size != b.Size {
		return false, nil
	}
	const chunk = 64 << 10
	var x, y [chunk]byte
	ra, rb := a.open(), b.open()
	for left := a.Size; left > 0; {
		n := min(left, chunk)
		if _, err := io.ReadFull(ra, x[:n]); err != nil {
			return false, fmt.Errorf("read old content: %w", err)
		}
		if _, err := io.ReadFull(rb, y[:n]); err != nil {
			return false, fmt.Errorf("read new content: %w", err)
		}
		if !bytes.Equal(x[:n], y[:n]) {
			return false, nil
		}
		left -= n
	}
	return true, nil
}
