package archive

import (
	"archive/tar"
	"bytes"
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
	written, mode := to.name, u.opts.Modes.file(hdr.Mode)
	early := u.earlyMode(mode)
	fd, err := to.create(written, early)
	if err == unix.EEXIST {
		if err = occupied(to, KindFile); err == nil {
			written = ".pyro-" + rand.Text()
			fd, err = to.create(written, early)
		}
	}
	if err != nil {
		return err
	}
	err = errors.Join(u.fill(fd, hdr, body), u.finish(fd, mode, early), to.setTime(written, hdr.ModTime), unix.Close(fd))
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

// earlyMode is the mode with which a file is made. Where others could open it, it is
// theirs only when it is whole; and set-id bits would not outlive a write.
func (u *unpacker) earlyMode(mode uint32) uint32 {
	if u.opts.Private && mode&^0o777 == 0 {
		return mode
	}
	return 0o600
}

// finish gives the new file fd its mode, and notes which file it is. In a
// private root there is seldom anything to do: system calls are what small files cost,
// and in a sandbox each of them is dear.
func (u *unpacker) finish(fd int, mode, early uint32) error {
	switch {
	case u.opts.Private && mode == early:
		return u.sameMode(fd, mode)
	case u.opts.Private || u.opts.Links == LinksRefused:
		return unix.Fchmod(fd, mode)
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		return err
	}
	s, err := fstat(fd)
	if err != nil {
		return err
	}
	u.made[s.id] = struct{}{}
	return nil
}

// sameMode makes sure that fd has the mode with which it was made. What the umask, or
// a default ACL that the root passes on, makes of a mode is the same for all files.
func (u *unpacker) sameMode(fd int, mode uint32) error {
	if u.exact[mode] {
		return nil
	}
	s, err := fstat(fd)
	if err != nil {
		return err
	}
	if s.mode != mode {
		return unix.Fchmod(fd, mode)
	}
	u.exact[mode] = true
	return nil
}

// fill gives the new file fd its content. Long runs of zeros become holes, as those
// in a sparse file were before it was packed.
func (u *unpacker) fill(fd int, hdr *tar.Header, body io.Reader) error {
	hole := false
	for left := hdr.Size; left > 0; {
		chunk := u.buf[:min(left, int64(len(u.buf)))]
		if _, err := io.ReadFull(body, chunk); err != nil {
			return formatError(unexpected(err))
		}
		var err error
		if hole = allZero(chunk); hole {
			_, err = unix.Seek(fd, int64(len(chunk)), io.SeekCurrent)
		} else {
			err = writeAll(fd, chunk)
		}
		if err != nil {
			return err
		}
		left -= int64(len(chunk))
	}
	if hole { // at the end, where nothing written gives the file its length
		return unix.Ftruncate(fd, hdr.Size)
	}
	return nil
}

// minHole is the shortest hole that is worth two system calls, in bytes.
const minHole = 64 << 10

func allZero(p []byte) bool {
	return len(p) >= minHole && p[0] == 0 && bytes.Equal(p[1:], p[:len(p)-1])
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
	if _, ours := u.made[target.id]; target.kind != KindFile || !ours && !u.opts.Private {
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
