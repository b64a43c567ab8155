package workspace

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
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
}

// ManifestEntry is a line of the manifest. Its fields are those of archive.Entry;
// names are bytes.
type ManifestEntry struct {
	Path   []byte `json:"p"`
	Kind   string `json:"k"`
	Mode   uint32 `json:"m"`
	Size   int64  `json:"s,omitempty"`
	MTime  int64  `json:"t"`
	Target []byte `json:"l,omitempty"`
	LinkTo []byte `json:"h,omitempty"`
	SHA256 string `json:"d,omitempty"`
}

const (
	baselineName = "baseline"
	archiveName  = "workspace.tar"
	manifestName = "manifest.jsonl"
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
	archive  *os.File
	buffered *bufio.Writer
	size     int64
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
	manifest, err := create(filepath.Join(dir, manifestName))
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	r, w := io.Pipe()
	b := &BaselineWriter{dir: dir, archive: f, buffered: bufio.NewWriterSize(f, 1<<20), pipe: w, indexed: make(chan indexed, 1)}
	go func() { // ends with the archive, or when the pipe is closed
		done := writeManifest(ctx, r, manifest)
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
	b.size += int64(n)
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
	return &Baseline{ArchiveSize: b.size, Manifest: done.digest}, done.counts, nil
}

// Abandon gives up what was written.
func (b *BaselineWriter) Abandon() {
	_ = b.pipe.CloseWithError(io.ErrUnexpectedEOF)
	<-b.indexed
	_ = b.archive.Close()
}

// writeManifest reads an archive and writes a line for each of its members.
func writeManifest(ctx context.Context, r io.Reader, w io.Writer) indexed {
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 256<<10)
	lines := json.NewEncoder(out)
	counts, err := archive.Index(ctx, r, archive.TreeLimits, func(e archive.Entry) error {
		return lines.Encode(manifestEntry(e))
	})
	return indexed{digest: hexOf(sum, out), counts: counts, err: err}
}

func hexOf(sum hash.Hash, out *bufio.Writer) string {
	_ = out.Flush() // an error comes again when the file is closed or compared
	return hex.EncodeToString(sum.Sum(nil))
}

func manifestEntry(e archive.Entry) ManifestEntry {
	m := ManifestEntry{
		Path: []byte(e.Path), Kind: string(e.Kind), Mode: e.Mode, Size: e.Size, MTime: e.ModTime,
		Target: []byte(e.Target), LinkTo: []byte(e.LinkTo),
	}
	if e.Kind == archive.KindFile {
		m.SHA256 = hex.EncodeToString(e.SHA256[:])
	}
	return m
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
	again := writeManifest(ctx, f, io.Discard)
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
