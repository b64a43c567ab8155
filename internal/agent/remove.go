package agent

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// maxRemoveDepth bounds the directories that are open at once while a tree is removed.
const maxRemoveDepth = 1000

// removePath removes what stands at a path. It stays within the names below it: no link
// is followed.
func (a *agent) removePath(ctx context.Context, req *wire.RemoveRequest) (*wire.RemoveReply, error) {
	reply := &wire.RemoveReply{}
	err := a.atPath("remove", req.Path, func(at int, name string, p guestPath) error {
		reply.Path = p.wire
		if p.rel == "." {
			return invalid("the workspace itself cannot be removed")
		}
		m := remover{ctx: ctx, recursive: req.Recursive}
		err := m.name(at, name, 1)
		reply.Removed = m.removed
		if err != nil && m.removed > 0 {
			err = fmt.Errorf("%d things below it are removed: %w", m.removed, err)
		}
		return mounted(err)
	})
	return reply, err
}

// remover removes trees, name by name.
type remover struct {
	ctx       context.Context
	recursive bool
	removed   int64
}

func (m *remover) name(at int, name string, depth int) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	err := unix.Unlinkat(at, name, 0)
	if err == unix.EISDIR || err == unix.EPERM {
		// POSIX has EPERM for a directory; for anything else it is a refusal.
		if st, statErr := lstatAt(at, name); statErr == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			err = m.directory(at, name, depth)
		}
	}
	if err == nil {
		m.removed++
	}
	return err
}

// directory removes a directory with what is in it.
func (m *remover) directory(at int, name string, depth int) error {
	err := unix.Unlinkat(at, name, unix.AT_REMOVEDIR)
	switch {
	case err != unix.ENOTEMPTY && err != unix.EEXIST:
		return err
	case !m.recursive:
		return &api.Error{
			Kind: api.Conflict, Hint: "remove it recursively",
			Err: errors.New("it is a directory, and not empty"),
		}
	case depth > maxRemoveDepth:
		return invalid("more than %d directories deep", maxRemoveDepth)
	}
	fd, err := openAt(at, name, listing)
	if err != nil {
		return err
	}
	if err := m.content(fd, depth); err != nil {
		return err
	}
	return unix.Unlinkat(at, name, unix.AT_REMOVEDIR)
}

// content empties the directory fd, and closes it.
func (m *remover) content(fd, depth int) error {
	dir := os.NewFile(uintptr(fd), "removed")
	defer func() { _ = dir.Close() }()
	bound := false // the right to write to it was asked for
	for {
		gone := 0
		err := eachName(dir, func(name string) error {
			err := m.name(fd, name, depth+1)
			if err == unix.EACCES && !bound {
				bound = true
				if unix.Fchmod(fd, 0o700) == nil {
					err = m.name(fd, name, depth+1)
				}
			}
			if err == unix.ENOENT { // somebody else was faster
				return nil
			}
			gone++
			return err
		})
		if err != nil || gone == 0 {
			return err
		}
		// A directory may skip names while others are taken out of it, readdir(3).
		if _, err := dir.Seek(0, 0); err != nil {
			return err
		}
	}
}
