package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// stat tells what stands at a path.
func (a *agent) stat(req *wire.StatRequest) (*wire.StatReply, error) {
	var reply wire.StatReply
	err := a.atPath("stat", req.Path, func(at int, name string, p guestPath) error {
		st, err := statxAt(at, name)
		if err != nil {
			return err
		}
		w := walker{target: make([]byte, wire.MaxTreePath+1)}
		if err := w.fillEntry(at, name, &st); err != nil {
			return err
		}
		w.entry.Path = []byte(p.wire)
		reply = wire.StatReply(w.entry)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &reply, nil
}

// atPath calls do with the directory that a path ends in and its last part, which is
// "." for the workspace itself.
func (a *agent) atPath(op, field string, do func(at int, name string, p guestPath) error) error {
	p, err := parsePath(field)
	if err != nil {
		return err
	}
	at, name, err := a.openParent(op, p)
	if err != nil {
		return fileError(err)
	}
	defer func() { _ = unix.Close(at) }()
	return fileError(placeError(op, p.wire, do(at, name, p)))
}

// readRange sends a part of a regular file.
func (a *agent) readRange(ctx context.Context, out *outflow, req *wire.ReadRangeRequest) (*wire.ReadRangeReply, error) {
	if req.Offset < 0 || req.Length < -1 {
		return nil, invalid("%d bytes from %d on are no part of a file", req.Length, req.Offset)
	}
	var reply *wire.ReadRangeReply
	err := a.inWorkspace(wire.LaxString(req.Path), func(root *archive.Root, p guestPath) error {
		f, err := root.Open(p.rel, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		var st unix.Stat_t
		switch err := unix.Fstat(int(f.Fd()), &st); {
		case err != nil:
			return err
		case kindOf(&st) != archive.KindFile:
			return invalid("%s is a directory, not a file", p.wire)
		}
		length := max(st.Size-req.Offset, 0)
		if req.Length >= 0 {
			length = min(length, req.Length)
		}
		reply = &wire.ReadRangeReply{
			Path: p.wire, Size: st.Size, Offset: req.Offset, Length: length,
			Mode: st.Mode & 0o7777, MTime: st.Mtim.Nano(),
		}
		return copyRange(ctx, out, io.NewSectionReader(f, req.Offset, length), p.wire)
	})
	return reply, err
}

// copyRange sends all that part has to hold.
func copyRange(ctx context.Context, out *outflow, part *io.SectionReader, name string) error {
	buf := make([]byte, fullPiece)
	for left := part.Size(); left > 0; {
		n, err := io.ReadFull(part, buf[:min(left, fullPiece)])
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return placeError("read", name, archive.ErrChanged)
		case err != nil:
			return placeError("read", name, err)
		}
		if err := errors.Join(ctx.Err(), out.send(buf[:n])); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// putFile replaces a regular file, or makes one. The content is received outside the
// workspace, so that nothing of it is seen before all of it is there.
func (a *agent) putFile(conn net.Conn, r *bufio.Reader, req *wire.PutRequest) (*wire.PutReply, error) {
	if req.Mode != nil && *req.Mode > 0o7777 {
		return nil, invalid("mode %#o is none of a file", *req.Mode)
	}
	if err := a.checkPut(req); err != nil {
		return nil, err
	}
	s, err := a.newStage()
	if err != nil {
		return nil, contentError(err)
	}
	defer a.removeStage(s)
	data := &payload{conn: conn, r: r}
	staged := filepath.Join(s.path, "content")
	size, err := receiveFile(staged, data)
	if fault := data.fault(); fault != nil {
		return nil, fault
	}
	if err != nil {
		return nil, contentError(err)
	}
	reply := &wire.PutReply{Size: size, BytesWritten: size}
	if req.Parents {
		if err := a.makeParents(req.Path); err != nil {
			return nil, err
		}
	}
	err = a.atPath("write", req.Path, func(at int, name string, p guestPath) error {
		reply.Path = p.wire
		reply.Created, err = place(staged, at, name, req)
		return err
	})
	return reply, err
}

// contentError is an error from before anything of the workspace has changed.
func contentError(err error) error {
	if sys.IsNoSpace(err) {
		return &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("the content does not fit on the guest's disk, and nothing was changed: %w", err)}
	}
	return fileError(err)
}

// checkPut refuses before the content has come what would be refused afterwards.
func (a *agent) checkPut(req *wire.PutRequest) error {
	err := a.atPath("write", req.Path, func(at int, name string, _ guestPath) error {
		_, _, err := replaceable(at, name, req.Exclusive)
		return err
	})
	if req.Parents && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// replaceable looks at what a new file would replace.
func replaceable(at int, name string, exclusive bool) (st unix.Stat_t, there bool, err error) {
	if name == "." {
		return st, false, unix.EISDIR
	}
	st, err = lstatAt(at, name)
	switch {
	case err == unix.ENOENT:
		return st, false, nil
	case err != nil:
		return st, false, err
	case exclusive:
		return st, true, fs.ErrExist
	}
	switch kindOf(&st) {
	case archive.KindFile:
		return st, true, nil
	case archive.KindDirectory:
		return st, true, unix.EISDIR
	case archive.KindSymlink:
		return st, true, archive.ErrSymlink
	}
	return st, true, archive.ErrSpecial
}

// receiveFile writes what comes to a new file, and tells how much it was.
func receiveFile(staged string, data io.Reader) (int64, error) {
	f, err := os.OpenFile(staged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{data}, make([]byte, 256<<10))
	return n, errors.Join(err, f.Close())
}

func (a *agent) makeParents(field string) error {
	return a.inWorkspace(wire.LaxString(field), func(root *archive.Root, p guestPath) error {
		return root.MkdirAll(path.Dir(p.rel), 0o755)
	})
}

// place moves a staged file to its name, with the mode and owner that it is to have.
func place(staged string, at int, name string, req *wire.PutRequest) (created bool, err error) {
	like, there, err := replaceable(at, name, req.Exclusive)
	if err != nil {
		return false, err
	}
	mode := uint32(0o644)
	if there {
		mode = like.Mode & 0o7777
		if int(like.Uid) != os.Geteuid() {
			_ = os.Lchown(staged, int(like.Uid), int(like.Gid)) // an agent that is not root cannot, and need not
		}
	}
	if req.Mode != nil {
		mode = *req.Mode
	}
	if err := syscall.Chmod(staged, mode); err != nil { // after the owner, which takes set-id bits away
		return false, err
	}
	if req.Exclusive { // link(2) replaces nothing
		err = unix.Linkat(unix.AT_FDCWD, staged, at, name, 0)
	} else {
		err = unix.Renameat(unix.AT_FDCWD, staged, at, name)
	}
	return !there, mounted(err)
}

// mounted says what it means that a name cannot be moved somewhere.
func mounted(err error) error {
	if err == unix.EXDEV || err == unix.EBUSY {
		return &api.Error{Kind: api.Unsupported, Err: fmt.Errorf("another file system is mounted there: %w", err)}
	}
	return err
}

// makeDir makes a directory.
func (a *agent) makeDir(req *wire.MakeDirRequest) (*wire.MakeDirReply, error) {
	reply := &wire.MakeDirReply{}
	if req.Parents {
		if err := a.makeParents(req.Path); err != nil {
			return nil, err
		}
	}
	err := a.atPath("make directory", req.Path, func(at int, name string, p guestPath) error {
		reply.Path = p.wire
		err := unix.Mkdirat(at, name, 0o755)
		if reply.Created = err == nil; err != unix.EEXIST || !req.Parents {
			return err
		}
		st, err := lstatAt(at, name)
		if err == nil && kindOf(&st) != archive.KindDirectory {
			err = fmt.Errorf("%w: a %s is there", fs.ErrExist, kindOf(&st))
		}
		return err
	})
	return reply, err
}

// movePath gives a thing another path.
func (a *agent) movePath(req *wire.MoveRequest) (*wire.MoveReply, error) {
	reply := &wire.MoveReply{}
	err := a.atPath("move", req.From, func(from int, name string, p guestPath) error {
		reply.From = p.wire
		if p.rel == "." {
			return invalid("the workspace itself cannot be moved")
		}
		if _, err := lstatAt(from, name); err != nil {
			return err
		}
		return a.atPath("move to", req.To, func(to int, newName string, q guestPath) error {
			reply.To = q.wire
			switch {
			case q.rel == ".":
				return invalid("the workspace itself cannot be replaced")
			case strings.HasPrefix(q.rel, p.rel+"/"):
				return invalid("%s is below %s", q.wire, p.wire)
			}
			_, err := lstatAt(to, newName)
			reply.Replaced = err == nil
			return mounted(moveName(from, name, to, newName, req.Overwrite))
		})
	})
	return reply, err
}

// moveName is renameat(2), which replaces what is there only if it may.
func moveName(from int, name string, to int, newName string, overwrite bool) error {
	if overwrite {
		return unix.Renameat(from, name, to, newName)
	}
	err := unix.Renameat2(from, name, to, newName, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL && err != unix.ENOSYS {
		return err
	}
	// Not every file system knows that flag.
	switch _, err := lstatAt(to, newName); err {
	case nil:
		return fs.ErrExist
	case unix.ENOENT:
		return unix.Renameat(from, name, to, newName)
	default:
		return err
	}
}
