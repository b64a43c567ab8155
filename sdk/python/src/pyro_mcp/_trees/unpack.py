"""Puts a tree from a workspace into a directory of this program's own.

No link that the guest chose is followed, and no name leads elsewhere: every directory on the
way to a member is opened by its name alone, from the one above it.
"""

import contextlib
import os
from typing import NamedTuple

from pyro_mcp._api.errors import DeniedError
from pyro_mcp._trees.judge import MAX_GUARDED, Judge
from pyro_mcp._trees.tarread import DIRECTORY, HARDLINK, SPECIAL, SYMLINK, Member, Reader

_MAX_ENTRIES = 5_000_000
_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_REFUSED = "what came from the workspace is no tree that may be put here; nothing was"


class Counts(NamedTuple):
    """What was unpacked."""

    entries: int
    bytes: int


class Unpacker:
    """Unpacks into the directory that is open as ``root``, where nothing may be yet."""

    def __init__(self, root: int, judge: Judge, single: str | None) -> None:
        self._root = root
        self._judge = judge
        self._single = single  # the one name that there may be, where it is no directory
        self._kinds: dict[str, str] = {}
        self._dirs: dict[str, tuple[int, int]] = {}  # their modes and times, for the end
        self._entries = 0
        self._bytes = 0
        self._open: tuple[str, int] | None = None

    def unpack(self, archive: Reader) -> Counts:
        """Unpack all of an archive."""
        try:
            for member in archive:
                self._member(archive, member)
            archive.rest()
            self._finish()
        finally:
            if self._open is not None:
                os.close(self._open[1])
                self._open = None
        return Counts(self._entries, self._bytes)

    def _member(self, archive: Reader, member: Member) -> None:
        parts = self._judge.path(member.name)
        if not parts:
            return
        if self._single is not None and (parts != [self._single] or member.kind == DIRECTORY):
            raise _refused(f"{self._single!r} alone was asked for")
        if member.kind == SPECIAL:
            self._judge.skipped += 1
            return
        name = "/".join(parts)
        if self._kinds.get(name, DIRECTORY) != DIRECTORY or (
            name in self._kinds and member.kind != DIRECTORY
        ):
            raise _refused(f"{name!r} is in it twice")
        self._judge.collides(parts)
        self._entries += name not in self._kinds
        if self._entries > _MAX_ENTRIES:
            raise _refused(f"it has more than {_MAX_ENTRIES} entries")
        self._judge.repository(parts, member.kind)
        if self._place(archive, member, parts):
            self._kinds[name] = member.kind
            self._judge.hold(name)
        else:
            self._entries -= 1

    def _place(self, archive: Reader, member: Member, parts: list[str]) -> bool:
        """Make a member. False: it is left out."""
        target: list[str] = []
        if member.kind == HARDLINK:
            target = self._judge.path(member.target)
            if self._judge.was_left(target):
                self._judge.leave(parts, "left out, being another name of what was")
                return False
        why = self._judge.guards(parts, member.kind)
        content = None
        if why:
            content = self._same(archive, member, parts)
            if content is None:
                self._judge.leave(parts, f"left out: {why}; allow_autorun=True brings it along")
                return False
        if member.kind == DIRECTORY:
            self._directory(parts)
            self._dirs["/".join(parts)] = (member.mode, member.mtime)
        elif member.kind == SYMLINK:
            self._symlink(parts, member)
            if not why:
                list(self._judge.watched(parts, member))
        elif member.kind == HARDLINK:
            self._hardlink(parts, target)
            list(self._judge.watched(parts, member))
        else:
            self._file(archive, member, parts, content)
        return True

    def _same(self, archive: Reader, member: Member, parts: list[str]) -> bytes | None:
        """Return the content of what git would obey if it is as in the seed, else None."""
        if member.kind == HARDLINK or member.size > MAX_GUARDED:
            return None
        content = b"".join(archive.content())
        return content if self._judge.as_seeded(parts, member, content) else None

    def _file(self, archive: Reader, member: Member, parts: list[str], content: bytes | None) -> None:
        fd = os.open(parts[-1], _NEW, 0o600, dir_fd=self._parent(parts))
        with open(fd, "wb", buffering=0) as file:  # noqa: PTH123 - it is open already
            for data in (
                self._judge.watched(parts, member, archive.content()) if content is None else (content,)
            ):
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
            self._bytes += member.size
            os.fchmod(fd, member.mode & 0o777)
            os.utime(fd, (member.mtime, member.mtime))

    def _symlink(self, parts: list[str], member: Member) -> None:
        if not member.target or b"\0" in member.target:
            raise _refused(f"the link {'/'.join(parts)!r} leads nowhere")
        parent = self._parent(parts)
        os.symlink(member.target, os.fsencode(parts[-1]), dir_fd=parent)
        times = (member.mtime, member.mtime)
        with contextlib.suppress(OSError):  # some file systems keep no times of links
            os.utime(parts[-1], times, dir_fd=parent, follow_symlinks=False)
        self._judge.link(parts, member.target)

    def _hardlink(self, parts: list[str], target: list[str]) -> None:
        """Link to a file or link that this archive has brought."""
        if not target or self._kinds.get("/".join(target), DIRECTORY) == DIRECTORY:
            raise _refused(f"{'/'.join(parts)!r} is a link to what is not in it")
        source = self._walk(target[:-1])
        try:
            os.link(
                target[-1],
                parts[-1],
                src_dir_fd=source,
                dst_dir_fd=self._parent(parts),
                follow_symlinks=False,
            )
        finally:
            os.close(source)

    def _directory(self, parts: list[str]) -> None:
        if "/".join(parts) not in self._kinds:
            os.mkdir(parts[-1], 0o700, dir_fd=self._parent(parts))

    def _parent(self, parts: list[str]) -> int:
        """Return the directory that a member is in, which is made if it was not told."""
        name = "/".join(parts[:-1])
        if self._open is not None and self._open[0] == name:
            return self._open[1]
        for depth in range(1, len(parts)):
            above = parts[:depth]
            kind = self._kinds.get("/".join(above))
            if kind is None:
                self._make(above)
            elif kind != DIRECTORY:
                raise _refused(f"{'/'.join(parts)!r} is below a file or link")
        opened = self._walk(parts[:-1])
        if self._open is not None:
            os.close(self._open[1])
        self._open = (name, opened)
        return opened

    def _make(self, parts: list[str]) -> None:
        above = self._walk(parts[:-1])
        try:
            os.mkdir(parts[-1], 0o700, dir_fd=above)
        finally:
            os.close(above)
        name = "/".join(parts)
        self._kinds[name] = DIRECTORY
        self._judge.hold(name)
        self._dirs[name] = (0o755, -1)

    def _walk(self, parts: list[str]) -> int:
        """Open a directory, part by part, so that no link is on the way."""
        at = os.open(".", _DIR, dir_fd=self._root)
        for part in parts:
            try:
                below = os.open(part, _DIR, dir_fd=at)
            finally:
                os.close(at)
            at = below
        return at

    def _finish(self) -> None:
        """Give directories their modes and times, the deepest first."""
        for name in sorted(self._dirs, reverse=True):
            mode, mtime = self._dirs[name]
            at = self._walk(name.split("/"))
            try:
                os.fchmod(at, mode & 0o777)
                if mtime >= 0:
                    os.utime(at, (mtime, mtime))
            finally:
                os.close(at)


def _refused(what: str) -> DeniedError:
    return DeniedError(f"the archive is refused: {what}", hint=_REFUSED)
