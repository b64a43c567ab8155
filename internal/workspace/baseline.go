package workspace

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Baseline is the state of /workspace right after it was created: the seed, as an
// archive and as a manifest. It stays on the host, out of the guest's reach.
type Baseline struct {
	ArchiveSize int64  `json:"archive_size"` // in bytes
	Manifest    string `json:"manifest"`     // SHA-256; the manifest has those of the files

	Format int `json:"manifest_format,omitempty"` // of the manifest: manifestLines or manifestRecords
}

// Placed reports whether the entries of the manifest say where content lies in the archive.
func (b *Baseline) Placed() bool { return b.Format == manifestRecords }

const (
	baselineName = "baseline"
	archiveName  = "workspace.tar"
)

// BaselineArchive opens the archive of a workspace's baseline.
func BaselineArchive(workspace string) (*os.File, error) {
	dir := filepath.Join(workspace, baselineName)
	if err := isDir(dir); err != nil {
		return nil, err
	}
	return openRegular(filepath.Join(dir, archiveName))
}

// openRegular opens a regular file for reading and nothing else: opening a FIFO would
// wait for somebody who writes.
func openRegular(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", filepath.Base(path))
	}
	if err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDONLY|sys.NoFollow, 0)
}

// isDir refuses what is no directory, such as a symbolic link to one.
func isDir(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", filepath.Base(path))
	}
	return err
}

// BaselineWriter keeps the seed that passes through it. What is written to it is the
// archive; Commit ends it.
type BaselineWriter struct {
	dir      string
	kept     *Baseline // what is known of it so far
	archive  *os.File
	buffered *bufio.Writer
	pipe     *io.PipeWriter
	indexed  chan indexed
}

type indexed struct {
	digest string
	counts archive.Counts
	err    error
}

// NewBaseline begins the baseline of a new workspace. The caller calls Commit or
// Abandon.
func NewBaseline(ctx context.Context, workspace string) (*BaselineWriter, error) {
	dir := filepath.Join(workspace, baselineName)
	fault.Hit("baseline-before")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, sys.Explain("keep the seed", err)
	}
	f, err := create(filepath.Join(dir, archiveName))
	if err != nil {
		return nil, err
	}
	kept := &Baseline{Format: manifestRecords}
	manifest, err := create(filepath.Join(dir, kept.manifestName()))
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	r, w := io.Pipe()
	b := &BaselineWriter{dir: dir, kept: kept, archive: f, buffered: bufio.NewWriterSize(f, 1<<20), pipe: w, indexed: make(chan indexed, 1)}
	go func() { // ends with the archive, or when the pipe is closed
		done := writeManifest(ctx, r, manifest, manifestRecords)
		_ = r.CloseWithError(errors.Join(done.err, io.ErrClosedPipe))
		done.err = errors.Join(done.err, manifest.Close())
		b.indexed <- done
	}()
	return b, nil
}

func create(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|sys.NoFollow, 0o600)
	return f, sys.Explain("keep the seed", err)
}

// Write implements io.Writer.
func (b *BaselineWriter) Write(p []byte) (int, error) {
	if err := fault.Error("baseline-write"); err != nil {
		return 0, sys.Explain("keep the seed", err)
	}
	n, err := b.buffered.Write(p)
	b.kept.ArchiveSize += int64(n)
	if err != nil {
		return n, sys.Explain("keep the seed", err)
	}
	if _, err := b.pipe.Write(p); err != nil {
		return 0, fmt.Errorf("seed: %w", err)
	}
	return n, nil
}

// Commit ends the archive and returns what is to be kept about it.
func (b *BaselineWriter) Commit() (*Baseline, archive.Counts, error) {
	_ = b.pipe.Close()
	done := <-b.indexed
	err := errors.Join(done.err, b.buffered.Flush(), b.archive.Close())
	fault.Hit("baseline-written")
	if err != nil {
		return nil, done.counts, sys.Explain("keep the seed", err)
	}
	b.kept.Manifest = done.digest
	return b.kept, done.counts, nil
}

// Abandon gives up what was written.
func (b *BaselineWriter) Abandon() {
	_ = b.pipe.CloseWithError(io.ErrUnexpectedEOF)
	<-b.indexed
	_ = b.archive.Close()
}

// Verify refuses a baseline that is not as it was kept: it makes the manifest again.
func (b *Baseline) Verify(ctx context.Context, workspace string) error {
	damaged := func(err error) error {
		return &api.Error{
			Kind: api.Conflict, Hint: "create a workspace anew from the project",
			Err: fmt.Errorf("its seed is damaged: %w", err),
		}
	}
	f, err := BaselineArchive(workspace)
	if err != nil {
		return damaged(err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || info.Size() != b.ArchiveSize {
		return damaged(errors.Join(err, fmt.Errorf("the archive is not of %d bytes", b.ArchiveSize)))
	}
	again := writeManifest(ctx, f, io.Discard, b.Format)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case again.err != nil:
		return damaged(again.err)
	case again.digest != b.Manifest:
		return damaged(errors.New("a file in it has changed"))
	}
	return nil
}
