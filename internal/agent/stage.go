package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// stagingName begins the name of the directory beside the workspace in which pushed
// trees are put together. It is there while one is.
const stagingName = ".pyro-staging-"

// stage is a directory of its own for one pushed tree, on the file system of the
// workspace and outside it.
type stage struct {
	path  string
	named map[string]bool // directories that are members, by clean path
}

// newStage makes an empty stage. The caller removes it.
func (a *agent) newStage() (*stage, error) {
	s := &stage{path: filepath.Join(a.cfg.Staging, a.marks.next())}
	for {
		if err := os.Mkdir(a.cfg.Staging, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if info, err := os.Lstat(a.cfg.Staging); err == nil && !info.IsDir() {
			return nil, fmt.Errorf("%w: %s is no directory", fs.ErrExist, a.cfg.Staging)
		}
		err := os.Mkdir(s.path, 0o700)
		if !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
		// Whoever else needed the directory above has just removed it.
	}
}

// removeStage frees what is left of the stage.
func (a *agent) removeStage(s *stage) {
	removeTree(s.path)
	_ = os.Remove(a.cfg.Staging) // fails while there is another stage in it
}

// sweepStages removes what an agent before this one left.
func (a *agent) sweepStages() {
	info, err := os.Lstat(a.cfg.Staging)
	if err != nil || !info.IsDir() {
		return
	}
	left, _ := os.ReadDir(a.cfg.Staging)
	for _, e := range left {
		if !strings.HasPrefix(e.Name(), a.marks.prefix) {
			removeTree(filepath.Join(a.cfg.Staging, e.Name()))
		}
	}
	_ = os.Remove(a.cfg.Staging)
}

// removeTree removes path and what is below it, for an ordinary user directories
// without the right to write, too.
func removeTree(path string) {
	if os.RemoveAll(path) == nil {
		return
	}
	_ = filepath.WalkDir(path, func(path string, e fs.DirEntry, _ error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(path)
}

// fill unpacks the archive that data is, all of it.
func (s *stage) fill(ctx context.Context, data io.Reader) (archive.Counts, error) {
	// Directories that come about on the way to a member must not change the mode of
	// what is in the workspace already, and the stage does not tell the two apart.
	s.named = make(map[string]bool)
	return archive.UnpackDir(ctx, data, s.path, archive.UnpackOptions{
		Formats: archive.TarOnly, Links: archive.LinksAsData, Modes: archive.ModesKept, Limits: archive.TreeLimits,
		Private:   true, // a new directory that is its owner's alone
		Directory: func(path string) { s.named[path] = true },
	})
}

// outOfPlace is an error about a path of the tree.
func outOfPlace(path string, err error) error { return placeError("push", path, err) }

// placeError is an error about a path. Callers look for the words "does not exist",
// which the kernel does not use.
func placeError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrNotExist
	}
	return fmt.Errorf("%s %q: %w", op, path, err)
}
