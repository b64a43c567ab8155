package workspace

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// ErrHeld is in the chain where somebody else is at a workspace.
var ErrHeld = errors.New("somebody else is at it")

// ExportImage writes the saved disk of a stopped workspace to w, as a tar: first what it
// is (api.DiskManifest), then its files, which lie in a directory of that name and are
// compared with their digests on the way. Where somebody else is at the workspace nothing
// was written, and ErrHeld is in the chain.
func ExportImage(ctx context.Context, st *store.Store, id, version string, w io.Writer) (*api.DiskImageInfo, error) {
	held, err := st.Lock(ctx, id)
	switch {
	case errors.Is(err, api.NotFound):
		return nil, Missing(st, id)
	case errors.Is(err, api.Conflict):
		return nil, errors.Join(ErrHeld, err)
	case err != nil:
		return nil, err
	}
	defer func() { _ = held.Unlock() }()
	r, err := Read(st, id)
	if err != nil {
		return nil, err
	}
	disk := r.Disk
	if disk == nil {
		return nil, &api.Error{
			Kind: api.Unsupported, Op: "export disk", ID: id, Hint: "use the format tar: it starts from the project that the workspace was made from",
			Err: errors.New("no image of its disk was saved yet"),
		}
	}
	if err := disk.Present(held.Path(), r.WayBack(disk)); err != nil {
		return nil, err
	}
	info := disk.info(&r, version)
	out := tar.NewWriter(w)
	var manifest bytes.Buffer
	if err := api.Encode(&manifest, info); err != nil {
		return nil, err
	}
	if err := putMember(out, api.DiskManifest, disk.At, int64(manifest.Len()), &manifest); err != nil {
		return nil, err
	}
	for _, file := range info.Files {
		if err := disk.putFile(ctx, out, held.Path(), file); err != nil {
			return nil, err
		}
	}
	return info, out.Close()
}

// info describes an image to whoever gets it.
func (d *SavedDisk) info(r *Record, version string) *api.DiskImageInfo {
	info := &api.DiskImageInfo{
		WorkspaceID: r.ID, Environment: r.Request.Environment, Engine: r.Engine.Name, DiskFormat: d.Format, SavedAt: d.At,
		PyroVersion: version, Files: []api.DiskImageFile{},
	}
	for _, name := range slices.Sorted(maps.Keys(d.Files)) {
		info.Files = append(info.Files, api.DiskImageFile{Name: name, SizeBytes: d.Files[name].Size, SHA256: d.Files[name].SHA256})
	}
	return info
}

// imageDir is the directory of an image's files in an exported archive.
const imageDir = "image"

// putFile writes one file of the image, and refuses it where it has changed.
func (d *SavedDisk) putFile(ctx context.Context, out *tar.Writer, workspace string, file api.DiskImageFile) error {
	f, err := openRegular(filepath.Join(d.Dir(workspace), file.Name))
	if err != nil {
		return sys.Explain("export disk", err)
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	content := io.TeeReader(ending{ctx, io.LimitReader(f, file.SizeBytes)}, hash)
	if err := putMember(out, imageDir+"/"+file.Name, d.At, file.SizeBytes, content); err != nil {
		return err
	}
	if hex.EncodeToString(hash.Sum(nil)) != file.SHA256 {
		return damaged("the disk that was saved before it may be whole: `pyro workspace start --previous`", fmt.Errorf("%s has changed", file.Name))
	}
	return nil
}

func putMember(out *tar.Writer, name string, at api.Timestamp, size int64, content io.Reader) error {
	err := out.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size, ModTime: at.Time(), Format: tar.FormatPAX})
	if err == nil {
		_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{content}, make([]byte, 1<<20))
	}
	return err
}
