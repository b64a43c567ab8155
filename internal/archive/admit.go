package archive

import (
	"archive/tar"
	"fmt"
	"io"
)

// Member is what an archive says of a member, before it is made or written.
type Member struct {
	Path   string // clean
	Kind   Kind
	Size   int64  // bytes, of a file; of a hard link 0
	Mode   uint32 // twelve bits
	Target string // of a symlink
	LinkTo string // of a hard link: the clean path that it names
}

// Admit has a say in a member: what it returns is the content of the file, which is
// body or something of the same length; for other kinds it counts for nothing. With nil
// the member is left out. What it leaves of body is passed over. It is not asked about
// special files. An error of it ends the work.
type Admit func(m Member, body io.Reader) (io.Reader, error)

// admit asks about a member. If it is to be left out, its content has been read.
func admit(ask Admit, hdr *tar.Header, body io.Reader, limits Limits, buf []byte) (io.Reader, error) {
	m, err := newMember(hdr, limits)
	if err != nil {
		return nil, err
	}
	told := Member{Path: m.name, Kind: m.kind, Mode: uint32(hdr.Mode) & 0o7777, LinkTo: m.linkTo}
	switch {
	case m.kind == KindSymlink:
		told.Target = hdr.Linkname
	case m.kind == KindFile && m.linkTo == "":
		told.Size = hdr.Size
	}
	content, err := ask(told, body)
	if err != nil || content != nil {
		return content, err
	}
	return nil, discard(hdr, body, limits, buf)
}

// discard reads what is left of the content of a member, so that its zeros are not
// taken for the end of the archive. Holes have to be read as zeros; how long that may
// go on is bounded.
func discard(hdr *tar.Header, body io.Reader, limits Limits, buf []byte) error {
	if sparse(hdr) && hdr.Size > limits.Bytes {
		return fmt.Errorf("%w: a sparse file of %d bytes", ErrLimit, hdr.Size)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, body, buf); err != nil {
		return formatError(err)
	}
	return nil
}
