package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

const (
	epitaphAge = 24 * time.Hour
	maxEpitaph = 64 << 10 // bytes

	sweptPrefix = "swept-"
	sweepTries  = 10
)

// WriteEpitaph leaves one line of JSON that is found under the workspace's id for a
// day after it was removed. It is written before Remove; where it fails, as on a
// full disk, the removal need not.
func (w *Workspace) WriteEpitaph(line []byte) error {
	line = append(bytes.TrimSpace(line), '\n')
	if bytes.IndexByte(line, '\n') != len(line)-1 || len(line) > maxEpitaph {
		return &api.Error{Kind: api.Internal, Op: "write epitaph", ID: w.id, Err: fmt.Errorf("%d bytes that are not one line of at most %d", len(line), maxEpitaph)}
	}
	// Nobody needs it after a power cut badly enough to wait for the disk.
	path := filepath.Join(w.store.goneDir(), w.id)
	return sys.Explain("write epitaph of "+w.id, replace(w.store.disk, path, line, processDeath))
}

// Epitaph returns the line that was left for a removed workspace, without its line
// break. It is api.NotFound when there is none, or when it is older than a day.
func (s *Store) Epitaph(id string) ([]byte, error) {
	if err := api.CheckID(id); err != nil {
		return nil, err
	}
	path := filepath.Join(s.goneDir(), id)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && time.Since(info.ModTime()) > epitaphAge {
		return nil, notFound(id)
	}
	line, err := readBounded(path, maxEpitaph)
	if err != nil {
		return nil, sys.Explain("read epitaph of "+id, err)
	}
	return bytes.TrimSpace(line), nil
}

// Sweep removes what nobody needs and nobody holds: workspaces whose maker was
// killed before it wrote a record, one-shot workspaces of an earlier boot, what a
// killed Remove left in the trash, and epitaphs that are older than a day. Stopped
// and broken workspaces stay. The errors of single ones are joined; it can run in
// many processes at once.
func (s *Store) Sweep(ctx context.Context) error {
	ids, err := s.IDs()
	errs := []error{err}
	for _, id := range ids {
		errs = append(errs, s.sweepWorkspace(ctx, id))
	}
	errs = append(errs, s.sweepTrash(), s.sweepEpitaphs())
	return errors.Join(errs...)
}

func (s *Store) sweepWorkspace(ctx context.Context, id string) error {
	if !s.isLeftover(id) {
		return nil
	}
	w, err := s.Lock(ctx, id)
	if errors.Is(err, api.Conflict) || errors.Is(err, api.NotFound) {
		return nil // being made, or swept by another
	}
	if err != nil {
		return err
	}
	defer func() { _ = w.Unlock() }()
	if !s.isLeftover(id) { // now that nobody else writes
		return nil
	}
	return w.Remove(ctx)
}

// isLeftover reports whether a workspace, provided that nobody holds it, has no
// record or is a one-shot one from before a reboot.
func (s *Store) isLeftover(id string) bool {
	if _, err := os.Lstat(filepath.Join(s.Path(id), recordName)); errors.Is(err, fs.ErrNotExist) {
		return true
	}
	made, err := readBounded(filepath.Join(s.Path(id), bootName), 128)
	if err != nil {
		return false
	}
	boot, err := s.boot()
	return err == nil && string(made) != boot
}

func (s *Store) sweepTrash() error {
	entries, err := os.ReadDir(s.trash())
	errs := []error{err}
	for _, e := range entries {
		held, err := sys.Locked(filepath.Join(s.trash(), e.Name(), lockName))
		if err == nil && held {
			continue // its owner is at work
		}
		errs = append(errs, s.sweepEntry(e.Name()))
	}
	return errors.Join(errs...)
}

// sweepEntry takes an entry of the trash away before it looks into it: what a Create
// is just making there fails to be moved into place then, and is made again, and
// what was moved meanwhile is not found here any more.
func (s *Store) sweepEntry(name string) error {
	if !strings.HasPrefix(name, sweptPrefix) {
		swept := sweptPrefix + rand.Text()
		err := s.disk.Rename(filepath.Join(s.trash(), name), filepath.Join(s.trash(), swept))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name = swept
	}
	for try := 1; ; try++ {
		err := s.disk.RemoveTree(s.trash(), name)
		if !sys.IsNotEmpty(err) || try == sweepTries {
			return err
		}
		// Whoever was just making it put its lock there, and makes another (see create).
	}
}

func (s *Store) sweepEpitaphs() error {
	entries, err := os.ReadDir(s.goneDir())
	errs := []error{err}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) <= epitaphAge {
			continue
		}
		err = os.Remove(filepath.Join(s.goneDir(), e.Name()))
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
