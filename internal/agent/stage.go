package agent

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
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

// remove frees what is left of the stage.
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
	root, err := archive.OpenRoot(s.path)
	if err != nil {
		return archive.Counts{}, err
	}
	defer func() { _ = root.Close() }()
	copied, done := s.note()
	counts, err := archive.Unpack(ctx, io.TeeReader(data, copied), root, archive.UnpackOptions{
		Formats: archive.TarOnly, Links: archive.LinksAsData, Modes: archive.ModesKept, Limits: treeLimits,
	})
	_ = copied.Close()
	<-done
	return counts, err
}

// note collects the directories that are members of the archive that is written to
// it. Others come about on the way to a member, and in the workspace must not change
// the mode of what is there already; the stage itself does not tell the two apart.
func (s *stage) note() (copied *io.PipeWriter, done <-chan struct{}) {
	s.named = make(map[string]bool)
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() { // ends when the writer is closed
		defer close(ended)
		in := bufio.NewReaderSize(r, pumpSize)
		members := tar.NewReader(in)
		for hdr, err := members.Next(); err == nil; hdr, err = members.Next() {
			if hdr.Typeflag == tar.TypeDir {
				s.named[path.Clean(hdr.Name)] = true
			}
		}
		_, _ = io.Copy(io.Discard, in) // Unpack says what is wrong with the archive
	}()
	return w, ended
}

// outOfPlace is an error about a path of the tree.
func outOfPlace(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrNotExist
	}
	return fmt.Errorf("push %q: %w", path, err)
}
