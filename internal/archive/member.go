package archive

import (
	"archive/tar"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// file writes a regular file. A new one is made under its name; one that replaces
// another is written beside it and renamed, so the old one is whole until then.
func (u *unpacker) file(to place, hdr *tar.Header, body io.Reader) error {
	if left := u.opts.Limits.Bytes - u.counts.Bytes; hdr.Size > left {
		return fmt.Errorf("%w: more than %d bytes of files", ErrLimit, u.opts.Limits.Bytes)
	}
	written := to.name
	fd, err := to.create(written, 0o600)
	if err == unix.EEXIST {
		if err = occupied(to, KindFile); err == nil {
			written = ".pyro-" + rand.Text()
			fd, err = to.create(written, 0o600)
		}
	}
	if err != nil {
		return err
	}
	err = errors.Join(u.fill(fd, hdr, body), to.setTime(written, hdr.ModTime), unix.Close(fd))
	if err == nil && written != to.name {
		err = unix.Renameat(to.fd, written, to.fd, to.name)
	}
	if err != nil {
		_ = unix.Unlinkat(to.fd, written, 0)
		return err
	}
	u.counts.Bytes += hdr.Size
	return nil
}

// fill gives the new file fd its content, owner and mode.
func (u *unpacker) fill(fd int, hdr *tar.Header, body io.Reader) error {
	for left := hdr.Size; left > 0; {
		chunk := u.buf[:min(left, int64(len(u.buf)))]
		if _, err := io.ReadFull(body, chunk); err != nil {
			return formatError(unexpected(err))
		}
		if err := writeAll(fd, chunk); err != nil {
			return err
		}
		left -= int64(len(chunk))
	}
	if err := u.setAccess(fd, u.opts.Modes.file(hdr.Mode)); err != nil || u.opts.Links == LinksRefused {
		return err
	}
	s, err := fstat(fd)
	if err != nil {
		return err
	}
	u.made[s.id] = struct{}{}
	return nil
}

// symlink makes a symlink, or replaces one. The target is data: it is not looked at.
func (u *unpacker) symlink(to place, hdr *tar.Header) error {
	target := hdr.Linkname
	if u.opts.Links == LinksRefused {
		return ErrLink
	}
	if err := checkTarget(target, u.opts.Limits); err != nil {
		return err
	}
	err := unix.Symlinkat(target, to.fd, to.name)
	if err == unix.EEXIST {
		if err := occupied(to, KindSymlink); err != nil {
			return err
		}
		if err := unix.Unlinkat(to.fd, to.name, 0); err != nil {
			return err
		}
		err = unix.Symlinkat(target, to.fd, to.name)
	}
	if err != nil {
		return err
	}
	return to.setTime(to.name, hdr.ModTime)
}

// hardLink gives an earlier file of this archive another name, in place of a file
// that may be there. That the target is one of ours is checked by its inode before
// and, because names can be swapped meanwhile, after.
func (u *unpacker) hardLink(to place, hdr *tar.Header) error {
	if u.opts.Links == LinksRefused {
		return ErrLink
	}
	parts, err := memberParts(hdr.Linkname, u.opts.Limits)
	if err != nil {
		return fmt.Errorf("hard link to %s: %w", quote(hdr.Linkname), err)
	}
	last := len(parts) - 1
	from, err := u.root.walk(parts[:last], nil)
	if err != nil {
		return fmt.Errorf("hard link to %s: %w", quote(hdr.Linkname), err)
	}
	defer from.close()
	target, err := from.lstat(parts[last])
	if err != nil {
		return pathError("hard link to", hdr.Linkname, err)
	}
	if _, ours := u.made[target.id]; !ours || target.kind != KindFile {
		return pathError("hard link to", hdr.Linkname, fmt.Errorf("%w: it is not a file that came before", ErrLink))
	}
	if err := vacate(to, target.id); err != nil {
		return err
	}
	err = unix.Linkat(from.fd, parts[last], to.fd, to.name, 0)
	if err != nil && err != unix.EEXIST {
		return err
	}
	if s, err := to.lstat(to.name); err != nil || s.id != target.id {
		_ = unix.Unlinkat(to.fd, to.name, 0)
		return pathError("hard link to", hdr.Linkname, ErrChanged)
	}
	return nil
}

// vacate removes the file in that place, if there is one and it is not keep itself.
func vacate(at place, keep inode) error {
	s, err := at.lstat(at.name)
	switch {
	case err == unix.ENOENT, err == nil && s.id == keep:
		return nil
	case err != nil:
		return err
	}
	if err := occupied(at, KindFile); err != nil {
		return err
	}
	return unix.Unlinkat(at.fd, at.name, 0)
}
