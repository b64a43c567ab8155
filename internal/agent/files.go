package agent

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"syscall"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// maxEntries bounds how much of one directory is read; what a reply can hold is
// less, see wire.MaxListLine.
const maxEntries = 1 << 20

// inWorkspace opens the workspace and calls do with the path of a request. Paths in
// it are resolved without following links, so nothing outside is ever touched,
// whatever the commands in the guest do to the tree meanwhile.
func (a *agent) inWorkspace(field wire.LaxString, do func(root *archive.Root, p guestPath) error) error {
	p, err := parsePath(string(field))
	if err != nil {
		return err
	}
	root, err := archive.OpenRoot(a.cfg.Workspace)
	if err != nil {
		return fileError(err)
	}
	defer func() { _ = root.Close() }()
	return fileError(do(root, p))
}

// fileError gives an error of the file system the kind that callers act upon.
func fileError(err error) error {
	var known *api.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	kind := api.Internal
	for _, k := range []struct {
		is   error
		kind api.Kind
	}{
		{fs.ErrNotExist, api.NotFound},
		{fs.ErrExist, api.Exists},
		{fs.ErrPermission, api.Denied},
		{archive.ErrSymlink, api.Denied},
		{archive.ErrEscapes, api.Denied},
		{archive.ErrLink, api.Denied},
		{archive.ErrSpecial, api.Unsupported},
		{archive.ErrName, api.Invalid},
		{archive.ErrFormat, api.Invalid},
		{archive.ErrLimit, api.Invalid},
		{archive.ErrChanged, api.Conflict},
		{syscall.ENOTDIR, api.Invalid},
		{syscall.EISDIR, api.Invalid},
	} {
		if errors.Is(err, k.is) {
			kind = k.kind
			break
		}
	}
	return &api.Error{Kind: kind, Err: err}
}

func invalid(format string, args ...any) error {
	return &api.Error{Kind: api.Invalid, Err: fmt.Errorf(format, args...)}
}

// list lists a directory, with everything below it if that is asked for. Devices,
// FIFOs and sockets, for which the protocol has no word, are left out.
func (a *agent) list(req *wire.ListRequest) (*wire.ListReply, error) {
	var reply *wire.ListReply
	err := a.inWorkspace(req.Path, func(root *archive.Root, p guestPath) error {
		info, err := root.Stat(p.rel)
		if err != nil {
			return err
		}
		l := lister{root: root, recursive: bool(req.Recursive), left: wire.MaxListLine - 4096, entries: []wire.Entry{}}
		switch info.Kind {
		case archive.KindSpecial:
			return archive.ErrSpecial
		case archive.KindDirectory:
			err = l.directory(p)
		default:
			err = l.entry(p, info)
		}
		reply = &wire.ListReply{Path: p.wire, ArtifactType: wire.ArtifactType(info.Kind), Entries: l.entries}
		return err
	})
	return reply, err
}

// lister collects entries, as many as fit into a reply.
type lister struct {
	root      *archive.Root
	recursive bool
	left      int // bytes
	entries   []wire.Entry
}

func (l *lister) directory(p guestPath) error {
	infos, err := l.root.ReadDir(p.rel, maxEntries)
	if err != nil {
		return err
	}
	for _, info := range infos {
		below := guestPath{wire: path.Join(p.wire, info.Name), rel: path.Join(p.rel, info.Name)}
		switch err := l.entry(below, info); {
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile
			continue
		case err != nil:
			return err
		}
		if info.Kind != archive.KindDirectory || !l.recursive {
			continue
		}
		// A directory may be gone, or replaced by something else, as well.
		if err := l.directory(below); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, archive.ErrSymlink) && !errors.Is(err, syscall.ENOTDIR) {
			return err
		}
	}
	return nil
}

func (l *lister) entry(p guestPath, info archive.Info) error {
	if info.Kind == archive.KindSpecial {
		return nil
	}
	e := wire.Entry{Path: p.wire, ArtifactType: wire.ArtifactType(info.Kind), SizeBytes: info.Size}
	if info.Kind == archive.KindSymlink {
		target, err := l.root.Readlink(p.rel)
		if err != nil {
			return err
		}
		e.LinkTarget = &target
	}
	encoded, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if l.left -= len(encoded) + 1; l.left < 0 {
		return &api.Error{
			Kind: api.Invalid, Hint: "list a directory further down",
			Err: fmt.Errorf("the list is longer than %d bytes", wire.MaxListLine),
		}
	}
	l.entries = append(l.entries, e)
	return nil
}

// readFile reads a regular file.
func (a *agent) readFile(req *wire.ReadRequest) (*wire.ReadReply, error) {
	limit := int64(req.MaxBytes)
	if limit < 1 || limit > wire.MaxFile {
		return nil, invalid("max_bytes is %d, allowed are 1 to %d", limit, wire.MaxFile)
	}
	var reply *wire.ReadReply
	err := a.inWorkspace(req.Path, func(root *archive.Root, p guestPath) error {
		f, err := root.Open(p.rel, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return invalid("%s is a directory, not a file", p.wire)
		}
		// The size is not believed: the file may grow while it is read.
		content, err := io.ReadAll(io.LimitReader(f, limit+1))
		if err != nil {
			return err
		}
		if size := max(info.Size(), int64(len(content))); size > limit {
			return invalid("%s has %d bytes, allowed are %d", p.wire, size, limit)
		}
		reply = &wire.ReadReply{Path: p.wire, SizeBytes: int64(len(content)), ContentB64: base64.StdEncoding.EncodeToString(content)}
		return nil
	})
	return reply, err
}

// writeFile replaces a regular file, or makes one. Readers see the old content or
// the new, never a part.
func (a *agent) writeFile(req *wire.WriteRequest) (*wire.WriteReply, error) {
	text := string(req.Text)
	if len(text) > wire.MaxFile || !utf8.ValidString(text) {
		return nil, invalid("text has %d bytes, allowed are %d of UTF-8", len(text), wire.MaxFile)
	}
	var reply *wire.WriteReply
	err := a.inWorkspace(req.Path, func(root *archive.Root, p guestPath) error {
		if err := root.MkdirAll(path.Dir(p.rel), 0o755); err != nil {
			return err
		}
		like, err := target(root, p)
		if err != nil {
			return err
		}
		if err := a.replace(root, p.rel, text, like); err != nil {
			return err
		}
		reply = &wire.WriteReply{Path: p.wire, SizeBytes: int64(len(text)), BytesWritten: int64(len(text))}
		return nil
	})
	return reply, err
}

// target describes the file that is about to be replaced; nil where there is none.
func target(root *archive.Root, p guestPath) (fs.FileInfo, error) {
	f, err := root.Open(p.rel, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = invalid("%s is a directory, not a file", p.wire)
	}
	return info, err
}

// replace writes text beside rel and moves it there, with the mode and owner of like.
func (a *agent) replace(root *archive.Root, rel, text string, like fs.FileInfo) error {
	name := path.Join(path.Dir(rel), ".pyro-"+a.marks.next())
	f, err := root.Open(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = dress(f, like)
	}
	err = cmp.Or(err, f.Close())
	if err == nil {
		err = root.Rename(name, rel)
	}
	if err != nil {
		_ = root.Remove(name)
	}
	return err
}

// dress gives f the mode and owner of like, and of a usual new file without one.
func dress(f *os.File, like fs.FileInfo) error {
	if like == nil {
		return f.Chmod(0o644)
	}
	if st, ok := like.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		_ = f.Chown(int(st.Uid), int(st.Gid)) // an agent that is not root cannot, and need not
	}
	return f.Chmod(like.Mode())
}

// deletePath removes a file or link.
func (a *agent) deletePath(req *wire.DeleteRequest) (*wire.DeleteReply, error) {
	var reply *wire.DeleteReply
	err := a.inWorkspace(req.Path, func(root *archive.Root, p guestPath) error {
		info, err := root.Stat(p.rel)
		if err != nil {
			return err
		}
		if info.Kind == archive.KindDirectory {
			return invalid("%s is a directory, not a file or link", strconv.Quote(p.wire))
		}
		reply = &wire.DeleteReply{Path: p.wire, Deleted: true}
		return root.Remove(p.rel)
	})
	return reply, err
}
