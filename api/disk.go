package api

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// Formats of an exported disk.
const (
	DiskTar   = "tar"   // a directory or file of it as an archive
	DiskImage = "image" // the files that the engine saved, as they are
)

// DiskManifest is the name of the first member of an exported image, see DiskImageInfo.
const DiskManifest = "pyro-disk.json"

// MaxDiskRead bounds the content of one answer, in bytes; DiskExport has no bound.
const MaxDiskRead = 64 << 20

// DiskListRequest asks for what is in a directory of a stopped workspace's disk, or for
// the one thing that Path is. See DiskPath.
type DiskListRequest struct {
	Path      string // empty: /workspace
	Recursive bool
}

// DiskList lists a directory of a disk by path. Special files are left out, and what is
// not on the disk: /proc, /sys, /dev, /run and what else was mounted.
type DiskList struct {
	WorkspaceID string      `json:"workspace_id"`
	Path        string      `json:"path"`
	Recursive   bool        `json:"recursive"`
	Entries     []FileEntry `json:"entries"`
	Count       int         `json:"count"`
	Truncated   bool        `json:"truncated"` // there are more than MaxListEntries
}

// DiskReadRequest asks for the beginning of a regular file on a disk.
type DiskReadRequest struct {
	Path     string
	MaxBytes int // 1 to MaxDiskRead; 0: DefaultReadBytes
}

// DiskRead is the beginning of a file on a disk.
type DiskRead struct {
	WorkspaceID string `json:"workspace_id"`
	Path        string `json:"path"`
	SizeBytes   int64  `json:"size_bytes"` // of the whole file
	MaxBytes    int    `json:"max_bytes"`
	BytesRead   int    `json:"bytes_read"` // of the file, which Content stands for
	Content     string `json:"content"`    // what is not UTF-8, or cut, is U+FFFD
	Encoding    string `json:"encoding"`   // EncodingUTF8 or EncodingLossy
	Truncated   bool   `json:"truncated"`
}

// DiskExportRequest says what of a disk is wanted, and as what.
type DiskExportRequest struct {
	Format string // DiskTar, which "" is too, or DiskImage
	Path   string // of DiskTar: a directory, file or symlink; empty: /workspace
}

// DiskExport says what was written to a file of this machine. DiskFormat is tar, or what
// the engine calls the format of its images.
type DiskExport struct {
	WorkspaceID  string  `json:"workspace_id"`
	OutputPath   string  `json:"output_path"`
	DiskFormat   string  `json:"disk_format"`
	BytesWritten int64   `json:"bytes_written"` // the length of the file
	Path         *string `json:"path"`          // of a tar: what it holds
	EntryCount   int     `json:"entry_count"`
	Skipped      int     `json:"skipped_count"` // special files
}

// DiskImageInfo is the first member of an exported image. The others are its files.
type DiskImageInfo struct {
	WorkspaceID string          `json:"workspace_id"`
	Environment string          `json:"environment"`
	Engine      string          `json:"engine"`
	DiskFormat  string          `json:"disk_format"`
	SavedAt     Timestamp       `json:"saved_at"`
	PyroVersion string          `json:"pyro_version"`
	Files       []DiskImageFile `json:"files"`
}

// DiskImageFile is one file of an image.
type DiskImageFile struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"` // 64 hex digits
}

const (
	diskPathHint       = "name a path in /workspace, or any absolute one of the guest"
	unnameableDiskHint = "bring out the directory it lies in with `pyro workspace disk export --path`"
)

// DiskPath returns the one form of a path on a disk: absolute and clean. A relative one
// counts from /workspace and may have no ".."; in an absolute one, which may name any
// place in the guest, ".." is resolved by the words alone. Links are not followed. Refused
// as Invalid is what is empty, holds a NUL, is not UTF-8, or is longer than a kernel takes.
func DiskPath(field, text string) (string, error) {
	p := strings.TrimSpace(text)
	bad := func(what, hint string) (string, error) {
		return "", invalid(field, fmt.Sprintf("%q %s", clip(text), what), hint)
	}
	switch {
	case p == "":
		return "", invalid(field, "is empty", diskPathHint)
	case strings.ContainsRune(p, 0):
		return bad("holds a zero byte", unnameableDiskHint)
	case !utf8.ValidString(p):
		return bad("is not UTF-8", unnameableDiskHint)
	case !path.IsAbs(p):
		p, err := GuestPath(field, text)
		if err != nil {
			if HintOf(err) == guestPathHint { // of what runs
				err = &Error{Kind: Invalid, Hint: diskPathHint, Err: err}
			}
			return "", err
		}
		return p, nil
	}
	p = path.Clean(p)
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > MaxPathComponent {
			return bad(fmt.Sprintf("has a name of %d bytes, allowed are %d", len(part), MaxPathComponent), longPathHint)
		}
	}
	if len(p) > MaxGuestPath-len(WorkspacePath) {
		return bad(fmt.Sprintf("has %d bytes, allowed are %d", len(p), MaxGuestPath-len(WorkspacePath)), longPathHint)
	}
	return p, nil
}

// Check brings the request into its one form, or says why it cannot be done.
func (r DiskListRequest) Check() (_ DiskListRequest, err error) {
	if r.Path == "" {
		r.Path = WorkspacePath
	}
	r.Path, err = DiskPath("path", r.Path)
	return r, err
}

// Check is as that of DiskListRequest.
func (r DiskReadRequest) Check() (_ DiskReadRequest, err error) {
	if r.MaxBytes == 0 {
		r.MaxBytes = DefaultReadBytes
	}
	if r.MaxBytes < 1 || r.MaxBytes > MaxDiskRead {
		return r, invalid("max_bytes", fmt.Sprintf("is %d, allowed are 1 to %d", r.MaxBytes, MaxDiskRead), "`pyro workspace disk export --path` brings out a file of any size")
	}
	r.Path, err = DiskPath("path", r.Path)
	return r, err
}

// Check is as that of DiskListRequest.
func (r DiskExportRequest) Check() (_ DiskExportRequest, err error) {
	switch r.Format {
	case "":
		r.Format = DiskTar
	case DiskTar:
	case DiskImage:
		if r.Path != "" {
			return r, invalid("path", "is for tar alone: an image is the whole disk", "leave it out, or use the format tar")
		}
		return r, nil
	default:
		return r, invalid("format", fmt.Sprintf("is %q, allowed are %s and %s", clip(r.Format), DiskTar, DiskImage), "use tar")
	}
	if r.Path == "" {
		r.Path = WorkspacePath
	}
	if r.Path, err = DiskPath("path", r.Path); err == nil && r.Path == "/" {
		err = invalid("path", "is / itself, most of which is no part of the disk", "name a directory in it, as /etc, or use the format image for all that was written")
	}
	return r, err
}
