package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// compare says which members of a tree differ from what is in the workspace. It looks
// at the names that it is told, and walks nothing.
func (a *agent) compare(conn net.Conn, r *bufio.Reader, req *wire.CompareRequest) (*wire.CompareReply, error) {
	p, err := parsePath(req.Destination)
	if err != nil {
		return nil, err
	}
	c := &cursor{base: -1}
	defer c.close()
	switch c.base, err = a.openBelow(p.rel); {
	case err == nil, absent(err): // a push will say what stands in its way
	default:
		return nil, fileError(err)
	}
	data := &payload{conn: conn, r: r}
	in := bufio.NewReaderSize(data, pumpSize)
	reply := &wire.CompareReply{Needed: []byte{}}
	for {
		line, err := wire.ReadLine(in, wire.MaxEntryLine)
		if fault := data.fault(); fault != nil && err != nil {
			return nil, fault
		}
		switch {
		case errors.Is(err, io.EOF):
			return reply, nil
		case err != nil:
			return nil, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("entry of a tree: %w", err)}
		case reply.Count == wire.MaxTreeEntries:
			return nil, invalid("more than %d entries of a tree", wire.MaxTreeEntries)
		}
		if err := c.add(reply, line); err != nil {
			return nil, fileError(err)
		}
	}
}

// absent tells that a path leads to nothing in the workspace, or through what is no
// directory.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, archive.ErrSymlink) ||
		errors.Is(err, unix.ENAMETOOLONG)
}

// cursor looks up paths that come in the order of a walk. It keeps open the
// directories that lead to the last one.
type cursor struct {
	base int // the destination; -1: there is none
	open []step
}

// step is one directory on the way.
type step struct {
	name string
	fd   int // -1: it is not there, or no directory
}

func (c *cursor) close() {
	c.back(0)
	if c.base >= 0 {
		_ = unix.Close(c.base)
	}
}

// back closes what is open deeper than depth.
func (c *cursor) back(depth int) {
	for _, s := range c.open[depth:] {
		if s.fd >= 0 {
			_ = unix.Close(s.fd)
		}
	}
	c.open = c.open[:depth]
}

// at opens the directory dir, a clean path below the destination or "". It returns -1
// where there is none.
func (c *cursor) at(dir string) (int, error) {
	fd, depth := c.base, 0
	for rest := dir; rest != "" && fd >= 0; depth++ {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if depth < len(c.open) && c.open[depth].name != name {
			c.back(depth)
		}
		if depth == len(c.open) {
			next, err := enter(fd, name)
			if err != nil && !absent(err) {
				return -1, outOfPlace(dir, err)
			}
			c.open = append(c.open, step{strings.Clone(name), next})
		}
		fd = c.open[depth].fd
	}
	c.back(depth)
	return fd, nil
}

// add compares the entry of one line.
func (c *cursor) add(reply *wire.CompareReply, line []byte) error {
	e, err := wire.DecodeTreeEntry(line)
	if err != nil {
		return err
	}
	dir, name := path.Split(string(e.Path))
	fd, err := c.at(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return err
	}
	needed := true
	if fd >= 0 {
		if needed, err = differs(fd, name, &e); err != nil {
			return outOfPlace(string(e.Path), err)
		}
	}
	reply.Add(needed)
	return nil
}

// differs compares an entry with what has its name in the directory at.
func differs(at int, name string, e *wire.TreeEntry) (bool, error) {
	st, err := lstatAt(at, name)
	switch {
	case absent(err):
		return true, nil
	case err != nil:
		return false, err
	case string(kindOf(&st)) != e.Kind:
		return true, nil
	}
	sameMode := st.Mode&0o7777 == e.Mode
	sameTime := st.Mtim.Sec == e.MTime && st.Mtim.Nsec == 0
	switch kindOf(&st) {
	case archive.KindDirectory:
		return !sameMode || !sameTime, nil
	case archive.KindFile:
		return !sameMode || !sameTime || st.Size != e.Size, nil
	}
	if !sameTime || st.Size != int64(len(e.Target)) {
		return true, nil
	}
	target := make([]byte, len(e.Target)+1)
	n, err := unix.Readlinkat(at, name, target)
	if err != nil {
		return true, nil // it is no link any more
	}
	return string(target[:n]) != string(e.Target), nil
}
