package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// push puts a tree into the workspace. It is unpacked outside first; what can fail
// for reasons of the tree or the disk fails there, and leaves the workspace alone.
func (a *agent) push(ctx context.Context, conn net.Conn, r *bufio.Reader, req *wire.PushRequest) (*wire.PushReply, error) {
	p, err := parsePath(req.Destination)
	if err != nil {
		return nil, err
	}
	if fd, err := a.openBelow(p.rel); err == nil {
		_ = unix.Close(fd)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fileError(err)
	}
	s, err := a.newStage()
	if err != nil {
		return nil, stagingError(err)
	}
	defer a.removeStage(s)
	data := &payload{conn: conn, r: r, ahead: pushAhead}
	counts, err := s.fill(ctx, data)
	if fault := data.fault(); fault != nil {
		return nil, fault
	}
	if err != nil {
		return nil, stagingError(err)
	}
	leave, err := a.takeTurn(ctx, conn, r)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := a.merge(s, p); err != nil {
		return nil, fileError(err)
	}
	return &wire.PushReply{Destination: p.wire, EntryCount: int64(counts.Entries), BytesWritten: counts.Bytes}, nil
}

// stagingError is an error from before anything of the workspace has changed.
func stagingError(err error) error {
	if sys.IsNoSpace(err) {
		return &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("the tree does not fit on the guest's disk, and nothing was changed: %w", err)}
	}
	return fileError(err)
}

// takeTurn waits until no other tree is being put in place, for as long as the host
// keeps the connection open. The caller calls leave.
func (a *agent) takeTurn(ctx context.Context, conn net.Conn, r *bufio.Reader) (leave func(), err error) {
	leave = func() { <-a.merging }
	select {
	case a.merging <- struct{}{}:
		return leave, nil
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_ = conn.SetReadDeadline(time.Time{})
	watched := make(chan struct{})
	go func() { // ends with the connection, or by the deadline below
		defer close(watched)
		defer cancel()
		_, _ = io.Copy(io.Discard, r) // nothing follows the last frame
	}()
	select {
	case a.merging <- struct{}{}:
	case <-ctx.Done():
		err = &api.Error{Kind: api.Canceled, Err: errors.New("the connection ended while another tree was being put in place")}
	}
	_ = conn.SetReadDeadline(time.Unix(1, 0))
	<-watched
	return leave, err
}

// merge moves a staged tree to p.
func (a *agent) merge(s *stage, p guestPath) error {
	from, err := unix.Open(s.path, listing, 0)
	if err != nil {
		return err
	}
	m, err := newMerger(s, from, p.wire)
	if err != nil {
		_ = unix.Close(from)
		return err
	}
	to, err := a.openBelow(p.rel)
	if err == nil {
		err = m.check(from, to, "")
		_ = unix.Close(to)
	} else {
		_ = unix.Close(from)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // then nothing is in the way
		}
	}
	if err != nil {
		return err
	}
	return a.place(m, s, p)
}

// place makes the destination if it is missing, and fills it.
func (a *agent) place(m *merger, s *stage, p guestPath) error {
	root, err := archive.OpenRoot(a.cfg.Workspace)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.MkdirAll(p.rel, 0o755); err != nil {
		return err
	}
	to, err := a.openBelow(p.rel)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(to) }()
	if err := m.takes(to); err != nil {
		return m.failed("", err)
	}
	from, err := unix.Open(s.path, listing, 0)
	if err != nil {
		return err
	}
	if err := m.move(from, to, ""); err != nil {
		return fmt.Errorf("only a part of the tree is in place: %w", err)
	}
	return nil
}
