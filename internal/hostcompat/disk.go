package hostcompat

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

const (
	diskFormat = "host-compat-tar/1"
	treeName   = "tree.tar" // the workspace directory, and the only file of a saved disk

	pauseWait = 5 * time.Second // for commands to pause; it takes milliseconds

	// settled is how old the newest change must be for the next one to have another
	// time: file systems count in ticks of up to 10 ms.
	settled  = 20 * time.Millisecond
	settling = 10 // times to wait for that
)

// DiskFormat implements engine.DiskKeeper.
func (*Engine) DiskFormat(context.Context) (string, error) { return diskFormat, nil }

// SaveDisk implements engine.DiskSnapshotter: of the machine's files, those in the
// workspace. All commands are paused meanwhile. Devices, FIFOs and sockets are left
// out; owners and extended attributes are not carried.
func (s *sandbox) SaveDisk(ctx context.Context, dir string) error {
	err := s.save(ctx, dir)
	if err == nil {
		return nil
	}
	kind := api.KindOf(err)
	switch ctx.Err() {
	case context.Canceled:
		kind = api.Canceled
	case context.DeadlineExceeded:
		kind = api.Timeout
	}
	return &api.Error{Kind: kind, Op: "save disk", Hint: api.HintOf(err), Err: err}
}

func (s *sandbox) save(ctx context.Context, dir string) error {
	select {
	case s.saving <- struct{}{}:
		defer func() { <-s.saving }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-s.done:
		return &api.Error{Kind: api.Unavailable, Err: errors.New("the agent is gone")}
	default:
	}
	if err := empty(dir); err != nil {
		return err
	}
	resume, err := s.self.Pause(time.Now().Add(pauseWait))
	defer resume()
	if err != nil {
		return err
	}
	return pack(ctx, s.workspace(), filepath.Join(dir, treeName))
}

func empty(dir string) error {
	names, err := os.ReadDir(dir)
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("%s is not empty: %w", dir, fs.ErrExist)
	}
	return err
}

func pack(ctx context.Context, tree, to string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = archive.PackDir(ctx, f, tree, archive.PackOptions{Specials: archive.SpecialsSkipped, Limits: archive.TreeLimits})
	return errors.Join(err, f.Close())
}

// unpack fills a new workspace directory from a saved disk.
func unpack(ctx context.Context, disk, tree string) error {
	f, err := os.Open(filepath.Join(disk, treeName))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = archive.UnpackDir(ctx, f, tree, archive.UnpackOptions{
		Links: archive.LinksAsData, Modes: archive.ModesKept, Limits: archive.TreeLimits,
	})
	return err
}

// DiskStamp implements engine.DiskSnapshotter. It walks the workspace and takes what
// no program can set back, the times of change. A tree in which something changed
// just now is walked again a moment later; where that does not end, it is an error.
// What is written through a shared mapping is seen when the kernel has written it back.
func (s *sandbox) DiskStamp() (string, error) {
	for range settling {
		w := walker{sum: sha256.New()}
		before := time.Now()
		if err := filepath.WalkDir(s.workspace(), w.visit); err != nil {
			return "", fmt.Errorf("look for changes: %w", err)
		}
		if w.newest.Before(before.Add(-settled)) {
			return fmt.Sprintf("%x", w.sum.Sum(nil)), nil
		}
		time.Sleep(settled + time.Millisecond)
	}
	return "", &api.Error{Kind: api.Conflict, Hint: "take it for changed", Err: errors.New("the files of the workspace change all the time")}
}

// walker sums up a tree.
type walker struct {
	sum    hash.Hash
	seen   int
	newest time.Time
}

func (w *walker) visit(path string, e fs.DirEntry, err error) error {
	if errors.Is(err, fs.ErrNotExist) { // gone meanwhile, which its directory tells
		return nil
	}
	if err != nil {
		return err
	}
	if w.seen++; w.seen > archive.TreeLimits.Entries {
		return fmt.Errorf("more than %d files", archive.TreeLimits.Entries)
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: no status", path)
	}
	changed := time.Unix(st.Ctim.Unix())
	if changed.After(w.newest) {
		w.newest = changed
	}
	_, err = fmt.Fprintf(w.sum, "%d %d %d %d %d\n", st.Dev, st.Ino, st.Mode, st.Size, changed.UnixNano())
	return err
}
