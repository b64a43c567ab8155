package agent

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"path"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/patch"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// applyPatch applies a patch to the workspace, or finds out that it can be. Like a push
// it has its turn, so that two of them do not see each other's halves.
func (a *agent) applyPatch(ctx context.Context, conn net.Conn, r *bufio.Reader, req *wire.PatchRequest) (*wire.PatchReply, error) {
	data := &payload{conn: conn, r: r}
	text, err := io.ReadAll(io.LimitReader(data, wire.MaxPatch+1))
	switch {
	case err != nil:
		return nil, data.fault()
	case len(text) > wire.MaxPatch:
		return nil, invalid("the patch has more than %d bytes", int64(wire.MaxPatch))
	}
	leave, err := a.takeTurn(ctx, conn, r)
	if err != nil {
		return nil, err
	}
	defer leave()
	tree := &patchedTree{agent: a, seen: make(map[string]unix.Stat_t)}
	changes, err := patch.Plan(text, tree, patch.DefaultLimits)
	if err == nil && !req.Check {
		err = a.commit(tree, changes)
	}
	if err != nil {
		return nil, fileError(err)
	}
	reply := &wire.PatchReply{Entries: make(wire.PatchEntries, len(changes))}
	for i, c := range changes {
		reply.Entries[i] = wire.PatchEntry{Path: c.Path, Status: string(c.Status), From: c.From}
	}
	return reply, nil
}

// patchedTree is the workspace as a patch is planned against it.
type patchedTree struct {
	agent *agent
	seen  map[string]unix.Stat_t // what was there, by path
}

// in calls do with the directory that a path ends in. What is missing on the way, or no
// directory, means that nothing is at the path.
func (t *patchedTree) in(rel string, do func(at int, name string) error) error {
	at, where, err := t.agent.descend(path.Dir(rel))
	switch {
	case err == unix.ENOENT || err == unix.ENOTDIR:
		return unix.ENOENT
	case err != nil:
		return placeError("open", where, err)
	}
	defer func() { _ = unix.Close(at) }()
	return do(at, path.Base(rel))
}

// Lstat implements patch.Tree.
func (t *patchedTree) Lstat(rel string) (info patch.Info, err error) {
	err = t.in(rel, func(at int, name string) error {
		st, err := lstatAt(at, name)
		if err == nil {
			t.seen[rel] = st
			info = patch.Info{Kind: patch.Kind(kindOf(&st)), Mode: st.Mode & 0o7777, Size: st.Size}
		}
		return err
	})
	if err == unix.ENOENT {
		return patch.Info{Kind: patch.Absent}, nil
	}
	return info, err
}

// Read implements patch.Tree.
func (t *patchedTree) Read(rel string) (content []byte, err error) {
	was := t.seen[rel]
	err = t.in(rel, func(at int, name string) error {
		if kindOf(&was) == archive.KindSymlink {
			content = make([]byte, wire.MaxTreePath+1)
			n, err := unix.Readlinkat(at, name, content)
			if err == unix.EINVAL {
				return archive.ErrChanged
			}
			content = content[:max(n, 0)]
			return err
		}
		content, err = readSame(at, name, &was)
		return err
	})
	return content, err
}

// readSame reads the regular file that was seen a moment ago.
func readSame(at int, name string, was *unix.Stat_t) ([]byte, error) {
	fd, err := openAt(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
	if err == unix.ELOOP {
		return nil, archive.ErrChanged
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	switch err := unix.Fstat(fd, &st); {
	case err != nil:
		return nil, err
	case !same(&st, was) || st.Ctim != was.Ctim || kindOf(&st) != archive.KindFile:
		return nil, archive.ErrChanged
	}
	content := make([]byte, st.Size)
	for n := 0; n < len(content); {
		k, err := unix.Read(fd, content[n:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case k == 0:
			return nil, archive.ErrChanged
		default:
			n += k
		}
	}
	return content, nil
}

// same tells that a name stands for what it stood for, with the content that it had. The
// time of change would tell more, but changes with the number of links.
func same(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Mtim == b.Mtim && a.Size == b.Size && a.Mode == b.Mode
}

// List implements patch.Tree.
func (t *patchedTree) List(rel string) (names []string, err error) {
	err = t.in(rel, func(at int, name string) error {
		fd, err := openAt(at, name, listing)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		w := walker{most: maxEntries, buf: make([]byte, direntSize)}
		names, err = w.list(fd)
		return err
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	return names, err
}
