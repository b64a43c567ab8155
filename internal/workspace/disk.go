package workspace

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// SavedDisk is an image of a writable layer: a directory of files that an engine
// wrote, of which the record knows everything. What the record does not name is not
// there, so that replacing the record is what makes a new image count.
type SavedDisk struct {
	Generation int                  `json:"generation"`      // the name of its directory
	Place      string               `json:"place,omitempty"` // that above it; empty: saved
	Format     string               `json:"format"`          // of the engine that wrote it
	At         api.Timestamp        `json:"at"`
	Files      map[string]SavedFile `json:"files"`
	Pushes     []Push               `json:"pushes,omitempty"` // what had come in by then
}

// SavedFile is one file of an image.
type SavedFile struct {
	Size   int64  `json:"size"` // in bytes
	SHA256 string `json:"sha256"`
}

// The directories of images in a workspace's directory.
const (
	savedName    = "saved"     // what start brings back
	snapshotName = "snapshots" // what a reset brings back
	forkName     = "forks"     // what a fork that is under way begins with
)

// maxImageFiles is far more than the files of any image.
const maxImageFiles = 64

// Dir is where the image lies, for a workspace's directory.
func (d *SavedDisk) Dir(workspace string) string {
	return filepath.Join(workspace, cmp.Or(d.Place, savedName), strconv.Itoa(d.Generation))
}

// Size is what its files take, in bytes.
func (d *SavedDisk) Size() int64 {
	var size int64
	for _, f := range d.Files {
		size += f.Size
	}
	return size
}

// NewImage makes the directory for the next image and returns its generation. The
// images that r names are the only ones that count: what lies beside them was given
// up, or never finished, and is removed first.
func NewImage(workspace string, r *Record) (*SavedDisk, error) {
	if err := PruneImages(workspace, r); err != nil {
		return nil, err
	}
	next := &SavedDisk{Generation: after(r.images())}
	return next, next.make(workspace)
}

// after is a generation that none of these has.
func after(known []*SavedDisk) int {
	next := 1
	for _, d := range known {
		next = max(next, d.Generation+1)
	}
	return next
}

// make makes the directory of a new image.
func (d *SavedDisk) make(workspace string) error {
	dir := d.Dir(workspace)
	fault.Hit("image-before")
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return sys.Explain("save disk", err)
	}
	// Whoever restores it gets the directory as a descriptor, and is another user.
	if err := makeOpen(dir); err != nil {
		return sys.Explain("save disk", err)
	}
	fault.Hit("image-made")
	return nil
}

func makeOpen(dir string) error {
	if err := os.Mkdir(dir, 0o711); err != nil {
		return err
	}
	return os.Chmod(dir, 0o711)
}

// PruneImages removes the images that r does not name.
func PruneImages(workspace string, r *Record) error { return prune(workspace, savedName, r.images()) }

// images are those that start may bring back.
func (r *Record) images() []*SavedDisk {
	return slices.DeleteFunc([]*SavedDisk{r.Disk, r.Proven}, func(d *SavedDisk) bool { return d == nil })
}

// prune removes what lies in the directory place and is not known.
func prune(workspace, place string, known []*SavedDisk) error {
	dir := filepath.Join(workspace, place)
	var entries []os.DirEntry
	err := isDir(dir)
	if err == nil {
		entries, err = os.ReadDir(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return sys.Explain("remove old disk images", err)
	}
	var errs []error
	for _, e := range entries {
		if !slices.ContainsFunc(known, func(d *SavedDisk) bool { return strconv.Itoa(d.Generation) == e.Name() }) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return sys.Explain("remove old disk images", errors.Join(errs...))
}

// Seal takes the digests of a finished image and makes it survive a power cut.
func (d *SavedDisk) Seal(ctx context.Context, workspace string) error {
	dir := d.Dir(workspace)
	entries, err := os.ReadDir(dir)
	if err == nil && (len(entries) == 0 || len(entries) > maxImageFiles) {
		err = fmt.Errorf("an image of %d files", len(entries))
	}
	if err != nil {
		return sys.Explain("save disk", err)
	}
	d.Files = make(map[string]SavedFile, len(entries))
	for _, e := range entries {
		if d.Files[e.Name()], err = seal(ctx, filepath.Join(dir, e.Name())); err != nil {
			return sys.Explain("save disk", err)
		}
	}
	fault.Hit("image-sealed")
	return sys.Explain("save disk", errors.Join(sys.SyncDir(dir), sys.SyncDir(filepath.Dir(dir))))
}

func seal(ctx context.Context, path string) (SavedFile, error) {
	f, err := openRegular(path)
	if err != nil {
		return SavedFile{}, err
	}
	defer func() { _ = f.Close() }()
	synced := make(chan error, 1)
	go func() { synced <- f.Sync() }() // ends with the write-back of what is there already
	sum, err := digest(ctx, f)
	return sum, errors.Join(err, f.Chmod(0o644), <-synced)
}

// digest reads a file to its end.
func digest(ctx context.Context, f io.Reader) (SavedFile, error) {
	hash := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{hash}, struct{ io.Reader }{ending{ctx, f}}, make([]byte, 1<<20))
	return SavedFile{Size: n, SHA256: hex.EncodeToString(hash.Sum(nil))}, err
}

// ending is a reader that ends with its context.
type ending struct {
	ctx context.Context
	io.Reader
}

func (e ending) Read(p []byte) (int, error) {
	if e.ctx.Err() != nil {
		return 0, context.Cause(e.ctx)
	}
	return e.Reader.Read(p)
}

// Present refuses an image of which a file is missing, superfluous or not as long as
// it was. It takes no time; Verify reads everything. back is the hint of the refusal,
// see Record.WayBack.
func (d *SavedDisk) Present(workspace, back string) error {
	var entries []os.DirEntry
	err := cmp.Or(isDir(filepath.Dir(d.Dir(workspace))), isDir(d.Dir(workspace)))
	if err == nil {
		entries, err = os.ReadDir(d.Dir(workspace))
	}
	if err != nil {
		return damaged(back, err)
	}
	if len(entries) != len(d.Files) {
		return damaged(back, fmt.Errorf("it has %d files, and had %d", len(entries), len(d.Files)))
	}
	for _, e := range entries {
		want, known := d.Files[e.Name()]
		info, err := e.Info()
		switch {
		case err != nil:
			return damaged(back, err)
		case !known || !info.Mode().IsRegular():
			return damaged(back, fmt.Errorf("%s is not one of its files", e.Name()))
		case info.Size() != want.Size:
			return damaged(back, fmt.Errorf("%s has %d bytes, and had %d", e.Name(), info.Size(), want.Size))
		}
	}
	return nil
}

// Verify reads the whole image and refuses one that is not as it was saved.
func (d *SavedDisk) Verify(ctx context.Context, workspace, back string) error {
	for name, want := range d.Files {
		f, err := openRegular(filepath.Join(d.Dir(workspace), name))
		if err != nil {
			return damaged(back, err)
		}
		got, err := digest(ctx, io.LimitReader(f, want.Size+1))
		_ = f.Close()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil && got != want {
			err = fmt.Errorf("%s has changed", name)
		}
		if err != nil {
			return damaged(back, err)
		}
	}
	return nil
}

func damaged(back string, err error) error {
	return &api.Error{Kind: api.Conflict, Hint: back, Err: fmt.Errorf("its saved disk is damaged: %w", err)}
}

// WayBack is the next step of somebody whose workspace cannot start from an image of
// its own: one further back, if there is any.
func (r *Record) WayBack(from *SavedDisk) string {
	if r.Disk != nil && from.Generation == r.Disk.Generation {
		return "`pyro workspace start " + r.ID + " --previous` takes the disk that was saved before it"
	}
	return "there is none before it: create a workspace anew from the project"
}

// Foreign refuses an image that the engine, in this version, did not write.
func (d *SavedDisk) Foreign(format, back string) error {
	if d.Format == format {
		return nil
	}
	return &api.Error{
		Kind: api.Unsupported,
		Hint: "use the pyro that saved it; else " + back,
		Err:  fmt.Errorf("its disk was saved as %s, and is read here as %s", d.Format, format),
	}
}
