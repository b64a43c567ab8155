package enginetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/engine"
)

// treeFile is all that a saved disk of the fake consists of: the workspace as a tar.
const treeFile = "tree.tar"

var _ engine.DiskSnapshotter = (*FakeSandbox)(nil)

// DiskFormat implements engine.DiskKeeper.
func (f *Fake) DiskFormat(context.Context) (string, error) { return f.Format, nil }

// SaveDisk implements engine.DiskSnapshotter. Unlike a real engine it saves /workspace
// alone, and does not hold up commands meanwhile.
func (s *FakeSandbox) SaveDisk(ctx context.Context, dir string) error {
	select {
	case s.saving <- struct{}{}:
		defer func() { <-s.saving }()
	case <-ctx.Done():
		return saveFailed(ctx, ctx.Err())
	}
	if s.fake.Saving != nil {
		if err := s.fake.Saving(ctx, s); err != nil {
			return saveFailed(ctx, err)
		}
	}
	select {
	case <-s.done:
		return &api.Error{Kind: api.Unavailable, Op: "save disk", Err: errors.New("the sandbox is gone")}
	default:
	}
	if err := saveTree(ctx, s.Workspace, dir); err != nil {
		return saveFailed(ctx, err)
	}
	s.fake.Saves.Add(1)
	return nil
}

func saveFailed(ctx context.Context, err error) error {
	kind := api.KindOf(err)
	switch ctx.Err() {
	case context.Canceled:
		kind = api.Canceled
	case context.DeadlineExceeded:
		kind = api.Timeout
	}
	return &api.Error{Kind: kind, Op: "save disk", Err: err}
}

// DiskStamp implements engine.DiskSnapshotter.
func (s *FakeSandbox) DiskStamp() (string, error) {
	sum := sha256.New()
	if err := pack(context.Background(), sum, s.Workspace); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func saveTree(ctx context.Context, tree, dir string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return fmt.Errorf("%s is not empty", dir)
	}
	file, err := os.OpenFile(filepath.Join(dir, treeFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(pack(ctx, file, tree), file.Close())
}

func pack(ctx context.Context, w io.Writer, tree string) error {
	_, err := archive.PackDir(ctx, w, tree, archive.PackOptions{Specials: archive.SpecialsSkipped})
	return err
}

func restoreTree(ctx context.Context, dir, tree string) error {
	file, err := os.Open(filepath.Join(dir, treeFile))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = archive.UnpackDir(ctx, file, tree, archive.UnpackOptions{
		Links: archive.LinksAsData, Specials: archive.SpecialsSkipped, Modes: archive.ModesKept,
	})
	return err
}
