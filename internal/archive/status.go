package archive

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// Kind is what stands under a name. The words are those of the guest protocol.
type Kind string

// All kinds.
const (
	KindFile      Kind = "file"
	KindDirectory Kind = "directory"
	KindSymlink   Kind = "symlink"
	KindSpecial   Kind = "special" // a device, FIFO or socket
)

// Info describes what stands under a name, of a link the link itself.
type Info struct {
	Name    string // last part of the path
	Kind    Kind
	Mode    fs.FileMode // permission bits only
	Size    int64       // bytes: of a file its length, of a symlink that of its target, else 0
	ModTime time.Time   // whole seconds, as archives carry it
	Target  string      // of a symlink; only Walk fills it

	Bits          uint32 // the twelve bits of chmod(2)
	Links         uint64 // names it has
	Device, Inode uint64 // together they tell it from all others
	ModTimeNS     int64  // nanoseconds since 1970, as is the next
	ChangeTimeNS  int64  // of the inode; no user can set it, so it tells a change that ModTime hides

	UID, GID int // owner and group, as this process sees them
}

// inode tells one file from all others that exist at the same time.
type inode struct{ dev, ino uint64 }

// status is the part of stat(2) that this package uses.
type status struct {
	kind  Kind
	mode  uint32 // permissions, set-id and sticky bits
	size  int64
	links uint64
	mtime time.Time // whole seconds
	id    inode

	modified, changed int64 // nanoseconds since 1970
	uid, gid          int
}

func fstat(fd int) (status, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return status{}, err
	}
	return newStatus(&st), nil
}

func newStatus(st *unix.Stat_t) status {
	seconds, _ := st.Mtim.Unix()
	s := status{
		kind:  KindSpecial,
		mode:  uint32(st.Mode) & 0o7777,
		links: uint64(st.Nlink),
		mtime: time.Unix(seconds, 0),
		id:    inode{dev: uint64(st.Dev), ino: st.Ino},

		modified: st.Mtim.Nano(),
		changed:  st.Ctim.Nano(),

		uid: int(st.Uid), gid: int(st.Gid),
	}
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
		s.kind, s.size = KindFile, st.Size
	case unix.S_IFDIR:
		s.kind = KindDirectory
	case unix.S_IFLNK:
		s.kind, s.size = KindSymlink, st.Size
	}
	return s
}

func (s status) info(name string) Info {
	return Info{
		Name: name, Kind: s.kind, Mode: fs.FileMode(s.mode & 0o777), Size: s.size, ModTime: s.mtime,
		Bits: s.mode, Links: s.links, Device: s.id.dev, Inode: s.id.ino, ModTimeNS: s.modified, ChangeTimeNS: s.changed,
		UID: s.uid, GID: s.gid,
	}
}
