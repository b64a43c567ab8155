package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Unpack reads one archive from r and makes its members below root. It reads r to
// its end, holds no member in memory, and believes no size before the bytes are
// there.
//
// A directory that exists stays, with the mode and time of the archive; a file is
// replaced by a new one, so that other links to the old one keep its content; a
// symlink replaces a symlink. Any other meeting is an error (fs.ErrExist, or
// ErrSymlink where a link stands), as is a symlink among the parents. Missing
// parents are made with mode 0755, or 0700 with ModesPrivate. Names that are
// empty, absolute, hold a part "..", or name nothing below root are errors. Times
// are set in whole seconds; modes and times of directories come last, so a
// directory without write permission can be filled.
//
// Errors name the member. Members before it stay, as the stream is read once only:
// the names in it are not known beforehand. A file that broke off is removed.
// Counts tells what was made until then.
func Unpack(ctx context.Context, r io.Reader, root *Root, opts UnpackOptions) (Counts, error) {
	opts.Limits = opts.Limits.withDefaults()
	u := &unpacker{
		root: root,
		opts: opts,
		dirs: make(map[string]dirState),
		made: make(map[inode]struct{}),

		exact: make(map[uint32]bool),
		buf:   make([]byte, copySize),
		at:    cursor{root: root},
	}
	if opts.Names.fresh != nil {
		u.judge = opts.Names.fresh()
	}
	defer u.at.back(0)
	s, err := newStream(ctx, r, opts.Formats, opts.Limits)
	if err != nil {
		return u.counts, err
	}
	if err := u.members(s); err != nil {
		return u.counts, err
	}
	return u.counts, u.finishDirs()
}

// UnpackDir is Unpack into the directory at path, which is the caller's own: see
// OpenRoot.
func UnpackDir(ctx context.Context, r io.Reader, path string, opts UnpackOptions) (Counts, error) {
	root, err := OpenRoot(path)
	if err != nil {
		return Counts{}, err
	}
	defer root.Close()
	return Unpack(ctx, r, root, opts)
}

type unpacker struct {
	root     *Root
	opts     UnpackOptions
	counts   Counts
	seen     int                 // members read and parents made
	dirs     map[string]dirState // by clean name: what they get at the end
	dirBytes int                 // of the keys of dirs
	made     map[inode]struct{}  // files of this archive, which hard links may name; not in a private root
	judge    nameJudge           // nil: every name will do
	at       cursor
	buf      []byte

	exact map[uint32]bool // in a private root: modes that new files get from open(2) as they are
}

// dirState is what a directory gets at the end.
type dirState struct {
	mode  uint32
	mtime time.Time // zero: as it came about
}

func (u *unpacker) members(s *stream) error {
	for {
		hdr, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := u.see(); err != nil {
			return err
		}
		// Settings for the members after it, such as git archive's commit id.
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := u.member(hdr, s.tar); err != nil {
			return pathError("unpack", hdr.Name, err)
		}
	}
}

// see counts what costs a file system entry, or time, against the limit.
func (u *unpacker) see() error {
	u.seen++
	if u.seen > u.opts.Limits.Entries {
		return fmt.Errorf("%w: more than %d entries", ErrLimit, u.opts.Limits.Entries)
	}
	return nil
}

// place is where a member goes: a name in an open directory.
type place struct {
	dir
	name string
	path string // below the root
}

func (u *unpacker) member(hdr *tar.Header, body io.Reader) error {
	path, err := cleanName(hdr.Name, u.opts.Limits)
	if err == nil && u.judge != nil {
		err = u.judge(path)
	}
	if err != nil {
		return err
	}
	if special(hdr) {
		if u.opts.Specials == SpecialsRefused {
			return ErrSpecial
		}
		u.counts.Skipped++
		return nil
	}
	if u.opts.Admit != nil {
		if body, err = admit(u.opts.Admit, hdr, body, u.opts.Limits, u.buf); err != nil || body == nil {
			return err
		}
	}
	parent := parentOf(path)
	at, err := u.at.to(parent, u.parent)
	if err != nil {
		return err
	}
	to := place{dir: at, name: strings.TrimPrefix(path[len(parent):], "/"), path: path}
	if err := u.put(to, hdr, body); err != nil {
		return err
	}
	u.counts.Entries++
	if u.opts.Seen != nil {
		u.opts.Seen(u.counts)
	}
	return nil
}

// put makes a member.
func (u *unpacker) put(to place, hdr *tar.Header, body io.Reader) error {
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return u.file(to, hdr, body)
	case tar.TypeDir:
		return u.directory(to, hdr)
	case tar.TypeSymlink:
		return u.symlink(to, hdr)
	case tar.TypeLink:
		return u.hardLink(to, hdr)
	default:
		return fmt.Errorf("%w: a member of type %q", ErrFormat, hdr.Typeflag)
	}
}

func special(hdr *tar.Header) bool {
	return hdr.Typeflag == tar.TypeChar || hdr.Typeflag == tar.TypeBlock || hdr.Typeflag == tar.TypeFifo
}

// parent makes a directory that a name goes through and no member made before.
func (u *unpacker) parent(at dir, name, path string) error {
	if err := u.see(); err != nil {
		return err
	}
	mode := u.opts.Modes.dir(0o755)
	if err := unix.Mkdirat(at.fd, name, mode); err != nil {
		return err
	}
	return u.holdDir(path, dirState{mode: mode})
}

func (u *unpacker) directory(to place, hdr *tar.Header) error {
	state := dirState{mode: u.opts.Modes.dir(hdr.Mode), mtime: hdr.ModTime}
	// Until the end we must be able to fill it; others get no more than they will have.
	err := unix.Mkdirat(to.fd, to.name, state.mode&0o777|0o700)
	if err == unix.EEXIST {
		err = occupied(to, KindDirectory)
	}
	if err != nil {
		return err
	}
	if u.opts.Directory != nil {
		u.opts.Directory(to.path)
	}
	return u.holdDir(to.path, state)
}

func (u *unpacker) holdDir(path string, state dirState) error {
	if _, held := u.dirs[path]; !held {
		u.dirBytes += len(path)
		if u.dirBytes > maxDirBytes {
			return fmt.Errorf("%w: names of directories of more than %d bytes together", ErrLimit, maxDirBytes)
		}
	}
	u.dirs[path] = state
	return nil
}

// finishDirs sets what had to wait. What lies deeper comes first, since the way
// down may be closed by the modes above.
func (u *unpacker) finishDirs() error {
	paths := slices.Sorted(maps.Keys(u.dirs))
	for _, path := range slices.Backward(paths) {
		if err := u.finishDir(path, u.dirs[path]); err != nil {
			return pathError("unpack", path, err)
		}
	}
	return nil
}

func (u *unpacker) finishDir(path string, state dirState) error {
	parent := parentOf(path)
	at, err := u.at.to(parent, nil)
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(path[len(parent):], "/")
	fd, err := at.open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fchmod(fd, state.mode); err != nil {
		return err
	}
	if state.mtime.IsZero() {
		return nil
	}
	return at.setTime(name, state.mtime)
}

// occupied says whether what stands under name may stay or be replaced: nil if it
// is of the kind that is wanted.
func occupied(at place, want Kind) error {
	s, err := at.lstat(at.name)
	switch {
	case err != nil:
		return err
	case s.kind == want:
		return nil
	case s.kind == KindSymlink:
		return ErrSymlink
	default:
		return fmt.Errorf("%w: a %s is there", unix.EEXIST, s.kind)
	}
}
