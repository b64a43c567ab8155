package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// secretLimits are tight, since secrets lie in memory.
var secretLimits = archive.Limits{Entries: 1000, Bytes: 16 << 20, Depth: 8}

// body is the upload after a request line.
type body struct {
	conn net.Conn
	r    *bufio.Reader
	left int64
}

// Read implements io.Reader. A peer that stops sending is given up after a while.
func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	if err := b.conn.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// upload hands the body to unpack, and takes what unpack leaves of it: a peer that
// still sends would not read the reply.
func upload(conn net.Conn, r *bufio.Reader, size wire.LaxInt, unpack func(io.Reader) (archive.Counts, error)) (archive.Counts, error) {
	if size < 0 {
		return archive.Counts{}, invalid("archive_size is %d, 0 or more is allowed", size)
	}
	b := &body{conn: conn, r: r, left: int64(size)}
	counts, err := unpack(b)
	if _, rest := io.Copy(io.Discard, b); err == nil {
		err = rest
	}
	return counts, err
}

// extract unpacks an archive in the workspace. Members before an error stay.
func (a *agent) extract(ctx context.Context, conn net.Conn, r *bufio.Reader, req *wire.ExtractRequest) (*wire.ArchiveReply, error) {
	var reply *wire.ArchiveReply
	_, err := upload(conn, r, req.ArchiveSize, func(data io.Reader) (counts archive.Counts, err error) {
		err = a.inWorkspace(req.Destination, func(root *archive.Root, p guestPath) error {
			if err := root.MkdirAll(p.rel, 0o755); err != nil {
				return err
			}
			to, err := root.Sub(p.rel)
			if err != nil {
				return err
			}
			defer func() { _ = to.Close() }()
			counts, err = archive.Unpack(ctx, data, to, archive.UnpackOptions{
				Formats: archive.TarCompressed, Links: archive.LinksAsData, Modes: archive.ModesKept, Limits: archive.TreeLimits,
			})
			reply = archiveReply(p.wire, counts)
			return err
		})
		return counts, err
	})
	return reply, err
}

func archiveReply(destination string, c archive.Counts) *wire.ArchiveReply {
	return &wire.ArchiveReply{Destination: destination, EntryCount: int64(c.Entries), BytesWritten: c.Bytes}
}

// installSecrets replaces the secrets by those of an archive. Nothing changes unless
// all of it can be read, and every secret is there at any moment, with the old
// content or the new.
func (a *agent) installSecrets(ctx context.Context, conn net.Conn, r *bufio.Reader, req *wire.SecretsRequest) (*wire.ArchiveReply, error) {
	counts, err := upload(conn, r, req.ArchiveSize, func(data io.Reader) (archive.Counts, error) {
		fresh := secretsName + ".new-" + a.marks.next()
		defer func() { _ = os.RemoveAll(filepath.Join(a.cfg.RunDir, fresh)) }()
		counts, err := a.unpackSecrets(ctx, data, fresh)
		if err == nil {
			a.hideSecrets(fresh) // before anything can print them
			err = a.swapSecrets(fresh)
		}
		return counts, fileError(err)
	})
	return archiveReply("/run/"+secretsName, counts), err
}

func (a *agent) unpackSecrets(ctx context.Context, data io.Reader, name string) (archive.Counts, error) {
	path := filepath.Join(a.cfg.RunDir, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		return archive.Counts{}, err
	}
	return archive.UnpackDir(ctx, data, path, archive.UnpackOptions{
		Formats: archive.TarCompressed, Modes: archive.ModesPrivate, Limits: secretLimits,
	})
}

// swapSecrets moves each secret of the directory fresh over the old one and removes
// those that are not in it. The directory stays the same one, so that whoever has it
// open sees the change.
func (a *agent) swapSecrets(fresh string) error {
	a.secrets.Lock()
	defer a.secrets.Unlock()
	from, to := filepath.Join(a.cfg.RunDir, fresh), filepath.Join(a.cfg.RunDir, secretsName)
	incoming, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	old, err := os.ReadDir(to)
	if err != nil {
		return err
	}
	stays := make(map[string]bool)
	for _, e := range incoming {
		target := filepath.Join(to, e.Name())
		stays[e.Name()] = true
		if info, err := os.Lstat(target); err == nil && (info.IsDir() || e.IsDir()) {
			// rename(2) replaces neither a directory with content nor one kind by the other.
			if err := os.RemoveAll(target); err != nil {
				return err
			}
		}
		if e.Type().IsRegular() {
			if err := os.Chmod(filepath.Join(from, e.Name()), 0o400); err != nil {
				return err
			}
		}
		if err := os.Rename(filepath.Join(from, e.Name()), target); err != nil {
			return err
		}
	}
	for _, e := range old {
		if stays[e.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// export sends a tar of a path. It is written to a file first, since the reply's
// first line has to tell its size.
func (a *agent) export(ctx context.Context, conn net.Conn, req *wire.ExportRequest) {
	spool, header, err := a.pack(ctx, req)
	if err != nil {
		_ = wire.Fail(patient{conn}, err)
		return
	}
	defer func() { _ = spool.Close() }()
	if err := wire.Reply(patient{conn}, header); err != nil {
		return
	}
	_, _ = io.CopyN(patient{conn}, spool, header.ArchiveSize)
}

// pack writes the tar to a file that has no name any more. The caller closes it.
func (a *agent) pack(ctx context.Context, req *wire.ExportRequest) (spool *os.File, header wire.ExportReply, err error) {
	spool, err = os.CreateTemp("", ".pyro-export-")
	if err != nil {
		return nil, header, &api.Error{Kind: api.Internal, Err: fmt.Errorf("make a file for the archive: %w", err)}
	}
	_ = os.Remove(spool.Name())
	err = a.inWorkspace(req.Path, func(root *archive.Root, p guestPath) error {
		counts, kind, err := archive.Pack(ctx, spool, root, p.rel, archive.PackOptions{
			Specials: archive.SpecialsSkipped, Limits: archive.TreeLimits,
		})
		if err != nil {
			return err
		}
		size, err := spool.Seek(0, io.SeekCurrent)
		header = wire.ExportReply{
			WorkspacePath: p.wire, ArtifactType: wire.ArtifactType(kind), ArchiveSize: size,
			EntryCount: int64(counts.Entries), BytesWritten: counts.Bytes,
		}
		return err
	})
	if err == nil {
		_, err = spool.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = spool.Close()
		return nil, header, err
	}
	return spool, header, nil
}
