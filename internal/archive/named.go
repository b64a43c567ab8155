package archive

import (
	"archive/tar"
	"fmt"
)

// named is what an archive says of a member, judged and cleaned.
type named struct {
	name   string
	kind   Kind
	linkTo string // of a hard link
}

func newMember(hdr *tar.Header, limits Limits) (named, error) {
	name, err := cleanName(hdr.Name, limits)
	if err != nil {
		return named{}, err
	}
	m := named{name: name}
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		m.kind = KindFile
	case tar.TypeDir:
		m.kind = KindDirectory
	case tar.TypeSymlink:
		m.kind = KindSymlink
		return m, checkTarget(hdr.Linkname, limits)
	case tar.TypeLink:
		m.kind = KindFile
		m.linkTo, err = cleanName(hdr.Linkname, limits)
		if err != nil {
			return m, fmt.Errorf("hard link to %s: %w", quote(hdr.Linkname), err)
		}
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		m.kind = KindSpecial
	default:
		return m, fmt.Errorf("%w: a member of type %q", ErrFormat, hdr.Typeflag)
	}
	return m, nil
}
