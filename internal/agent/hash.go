package agent

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// hashSize is how much of a file is read at once, in bytes.
const hashSize = 256 << 10

// hash tells the digests of files while their paths come.
func (a *agent) hash(ctx context.Context, out *outflow, r *bufio.Reader, req *wire.HashRequest) (*wire.HashReply, error) {
	base, err := a.openDir("hash", req.Path)
	if err != nil {
		return nil, err
	}
	h := &hasher{ctx: ctx, out: out, at: cursor{base: base}, sum: sha256.New(), buf: make([]byte, hashSize)}
	defer h.at.close()
	reply := &wire.HashReply{}
	err = eachPath(out, r, func(path []byte) error {
		reply.Count++
		return h.add(string(path))
	})
	if err == nil && len(h.records) > 0 {
		err = out.send(h.records)
	}
	return reply, err
}

// openDir opens the directory that a request names, for going through it.
func (a *agent) openDir(op, field string) (int, error) {
	p, err := parsePath(field)
	if err != nil {
		return -1, err
	}
	fd, at, err := a.descend(p.rel)
	return fd, placeError(op, at, err)
}

// eachPath calls do with every path that follows a request.
func eachPath(out *outflow, r *bufio.Reader, do func(path []byte) error) error {
	data := &payload{conn: out.conn, r: r}
	in := bufio.NewReader(data)
	for {
		path, err := wire.ReadPath(in)
		if fault := data.fault(); fault != nil && err != nil {
			return fault
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err == nil:
			err = do(path)
		}
		if err != nil {
			return err
		}
	}
}

// hasher hashes files whose paths come in the order of a walk, or any other, which is
// slower.
type hasher struct {
	ctx     context.Context
	out     *outflow
	at      cursor
	sum     hash.Hash
	buf     []byte
	records []byte
}

// add hashes one file and sends what there is, now and then.
func (h *hasher) add(file string) error {
	dir, name := path.Split(file)
	d := wire.FileDigest{Err: wire.HashFailed}
	switch fd, err := h.at.at(strings.TrimSuffix(dir, "/")); {
	case err != nil:
	case fd < 0:
		d.Err = wire.HashGone
	default:
		d = h.file(fd, name)
	}
	if err := h.ctx.Err(); err != nil {
		return err
	}
	h.records = d.Append(h.records)
	if len(h.records) < walkPiece && time.Since(h.out.last) < signOfLife {
		return nil
	}
	err := h.out.send(h.records)
	h.records = h.records[:0]
	return err
}

// file hashes what has a name.
func (h *hasher) file(at int, name string) wire.FileDigest {
	// Without waiting for the other end of a FIFO.
	fd, err := openAt(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
	switch {
	case absent(err), err == unix.ELOOP, err == unix.ENXIO:
		return wire.FileDigest{Err: wire.HashGone}
	case err != nil:
		return wire.FileDigest{Err: wire.HashFailed}
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return wire.FileDigest{Err: wire.HashFailed}
	}
	d := wire.FileDigest{Mode: st.Mode & 0o7777, Size: st.Size, CTime: st.Ctim.Nano(), Inode: st.Ino}
	switch {
	case kindOf(&st) != archive.KindFile:
		return wire.FileDigest{Err: wire.HashGone}
	case st.Size > wire.MaxHashed:
		d.Err = wire.HashTooLong
		return d
	}
	// Whoever writes to it from here on changes its time, which a later walk tells.
	if d.Err = h.content(fd, st.Size); d.Err == "" {
		d.SHA256 = h.sum.Sum(nil)
	}
	return d
}

// content hashes size bytes, and says why it could not.
func (h *hasher) content(fd int, size int64) string {
	h.sum.Reset()
	for left := size; left > 0; {
		n, err := unix.Read(fd, h.buf[:min(left, hashSize)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil, h.ctx.Err() != nil:
			return wire.HashFailed
		case n == 0:
			return wire.HashChanged
		}
		_, _ = h.sum.Write(h.buf[:n])
		left -= int64(n)
		if left > 0 && time.Since(h.out.last) >= signOfLife {
			if h.out.send(nil) != nil {
				return wire.HashFailed // the host is gone, which the next record finds out too
			}
		}
	}
	return ""
}
