package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// merger moves a staged tree to where it belongs, name by name with rename(2): what
// is missing there moves with all that is below it, files and symlinks replace each
// other, and directories that exist stay. Nothing else may meet. No link is followed.
//
// It looks at everything first (check) and moves then (move), so that a tree which
// does not fit changes nothing. What commands in the guest do to the tree in between
// can only make names fail, or be replaced by those of the tree.
type merger struct {
	root  string          // where the tree goes, as the wire has it
	named map[string]bool // see stage
	bound bool            // not root: the modes of directories bind us
	dev   uint64          // file system of the stage
	met   map[string]look // directories that exist on both sides, by path below root
}

// look is what a directory gets at the end.
type look struct {
	mode  uint32
	mtime unix.Timespec
}

func newMerger(s *stage, from int, root string) (*merger, error) {
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return nil, err
	}
	return &merger{root: root, named: s.named, bound: os.Geteuid() != 0, dev: uint64(st.Dev), met: make(map[string]look)}, nil
}

func (m *merger) failed(rel string, err error) error {
	if err == nil {
		return nil
	}
	return outOfPlace(path.Join(m.root, rel), err)
}

const (
	listing = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	passing = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
)

// openAt is openat(2) of a single name.
func openAt(at int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(at, name, flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func lstatAt(at int, name string) (st unix.Stat_t, err error) {
	err = unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, err
}

func kindOf(st *unix.Stat_t) archive.Kind { return kindOfMode(st.Mode) }

func kindOfMode(mode uint32) archive.Kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return archive.KindFile
	case unix.S_IFDIR:
		return archive.KindDirectory
	case unix.S_IFLNK:
		return archive.KindSymlink
	}
	return archive.KindSpecial
}

// openBelow opens the directory rel below the workspace, for going through it. The
// path leads through no link, and is one that parsePath has made.
func (a *agent) openBelow(rel string) (int, error) {
	fd, at, err := a.descend(rel)
	if err != nil {
		return -1, outOfPlace(at, err)
	}
	return fd, nil
}

// descend is openBelow; where it fails it tells at which path.
func (a *agent) descend(rel string) (fd int, at string, err error) {
	at = wireRoot
	fd, err = unix.Open(a.cfg.Workspace, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil || rel == "." {
		return fd, at, err
	}
	for name := range strings.SplitSeq(rel, "/") {
		next, err := enter(fd, name)
		_ = unix.Close(fd)
		at = path.Join(at, name)
		if err != nil {
			return -1, at, err
		}
		fd = next
	}
	return fd, at, nil
}

// enter opens the directory name, and tells a link from what is no directory.
func enter(at int, name string) (int, error) {
	fd, err := openAt(at, name, passing)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		if st, statErr := lstatAt(at, name); statErr == nil && kindOf(&st) == archive.KindSymlink {
			return -1, archive.ErrSymlink
		}
	}
	return fd, err
}

// eachName calls do with every name in the directory dir.
func eachName(dir *os.File, do func(name string) error) error {
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// check finds out whether all in the staged directory from, which it closes, can go
// to the directory to, which is rel below the root.
func (m *merger) check(from, to int, rel string) error {
	dir := os.NewFile(uintptr(from), "staged")
	defer func() { _ = dir.Close() }()
	if err := m.takes(to); err != nil {
		return m.failed(rel, err)
	}
	return eachName(dir, func(name string) error {
		there, err := lstatAt(to, name)
		if err == unix.ENOENT {
			return nil
		}
		below := path.Join(rel, name)
		if err != nil {
			return m.failed(below, err)
		}
		ours, err := lstatAt(from, name)
		if err == nil {
			err = meets(kindOf(&ours), kindOf(&there))
		}
		if err != nil || kindOf(&ours) != archive.KindDirectory {
			return m.failed(below, err)
		}
		m.met[below] = look{mode: ours.Mode & 0o7777, mtime: ours.Mtim}
		return m.checkBelow(from, to, name, below, ours.Mode)
	})
}

func (m *merger) checkBelow(from, to int, name, below string, mode uint32) error {
	sub, err := enter(to, name)
	if err != nil {
		return m.failed(below, err)
	}
	defer func() { _ = unix.Close(sub) }()
	if m.bound && mode&0o700 != 0o700 {
		// It is taken apart, and what is to become of its mode is noted.
		if err := unix.Fchmodat(from, name, 0o700, 0); err != nil {
			return m.failed(below, err)
		}
	}
	source, err := openAt(from, name, listing)
	if err != nil {
		return m.failed(below, err)
	}
	return m.check(source, sub, below)
}

// takes tells whether names can be moved to the directory.
func (m *merger) takes(to int) error {
	var st unix.Stat_t
	if err := unix.Fstat(to, &st); err != nil {
		return err
	}
	if uint64(st.Dev) != m.dev {
		return &api.Error{Kind: api.Unsupported, Err: errors.New("it is on another file system than the staging directory")}
	}
	if !m.bound {
		return nil
	}
	return unix.Faccessat(to, ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

// meets says whether a member may go where something stands. A file that became a
// symlink, or the other way round, is what a project does when it is edited; rename(2)
// replaces the name and never goes through it.
func meets(ours, there archive.Kind) error {
	leaf := func(k archive.Kind) bool { return k == archive.KindFile || k == archive.KindSymlink }
	switch {
	case ours == there, leaf(ours) && leaf(there):
		return nil
	case there == archive.KindSymlink:
		return archive.ErrSymlink
	}
	return fmt.Errorf("%w: a %s is there", fs.ErrExist, there)
}

// move puts all in the staged directory from, which it closes, into the directory to.
func (m *merger) move(from, to int, rel string) error {
	dir := os.NewFile(uintptr(from), "staged")
	defer func() { _ = dir.Close() }()
	for {
		moved := 0
		err := eachName(dir, func(name string) error {
			moved++
			return m.moveName(from, to, name, path.Join(rel, name))
		})
		if err != nil || moved == 0 {
			return err
		}
		// A directory may skip names while others are taken out of it, readdir(3).
		if _, err := dir.Seek(0, io.SeekStart); err != nil {
			return m.failed(rel, err)
		}
	}
}

func (m *merger) moveName(from, to int, name, below string) error {
	if end, ok := m.met[below]; ok {
		return m.failed(below, m.moveInto(from, to, name, below, end))
	}
	if m.bound {
		return m.failed(below, moveBound(from, to, name))
	}
	return m.failed(below, unix.Renameat(from, name, to, name))
}

// moveInto merges one directory with that of the same name.
func (m *merger) moveInto(from, to int, name, below string, end look) error {
	sub, err := enter(to, name)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(sub) }()
	source, err := openAt(from, name, listing)
	if err != nil {
		return err
	}
	if err := m.move(source, sub, below); err != nil {
		return err
	}
	if m.named[below] {
		if err := dressDir(to, name, end); err != nil {
			return err
		}
	}
	return unix.Unlinkat(from, name, unix.AT_REMOVEDIR)
}

// dressDir sets time and mode of a directory whose content is in place.
func dressDir(at int, name string, end look) error {
	fd, err := openAt(at, name, listing)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.UtimesNanoAt(fd, ".", []unix.Timespec{end.mtime, end.mtime}, 0); err != nil {
		return err
	}
	return unix.Fchmod(fd, end.mode)
}

// moveBound is renameat(2) for an ordinary user, who needs the right to write to a
// directory that gets another parent.
func moveBound(from, to int, name string) error {
	st, err := lstatAt(from, name)
	if err != nil {
		return err
	}
	const whole = 0o700
	mode := st.Mode & 0o7777
	if kindOf(&st) != archive.KindDirectory || mode&whole == whole {
		return unix.Renameat(from, name, to, name)
	}
	if err := unix.Fchmodat(from, name, mode|whole, 0); err != nil {
		return err
	}
	if err := unix.Renameat(from, name, to, name); err != nil {
		return err
	}
	return dressDir(to, name, look{mode: mode, mtime: st.Mtim})
}
