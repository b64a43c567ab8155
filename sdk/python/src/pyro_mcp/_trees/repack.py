"""Writes what came out of a workspace as an archive that everybody can unpack."""

import tarfile
from collections.abc import Iterator

from pyro_mcp._api.errors import DeniedError
from pyro_mcp._trees.judge import MAX_GUARDED, Judge
from pyro_mcp._trees.tarread import DIRECTORY, FILE, HARDLINK, SPECIAL, SYMLINK, Member, Reader
from pyro_mcp._trees.unpack import Counts

_MAX_ENTRIES = 5_000_000
_TYPES = {DIRECTORY: tarfile.DIRTYPE, SYMLINK: tarfile.SYMTYPE, HARDLINK: tarfile.LNKTYPE}


class Repacker:
    """Takes members of one archive, and gives those of another that may be kept."""

    def __init__(self, archive: Reader, judge: Judge) -> None:
        self._archive = archive
        self._judge = judge
        self._seen: dict[str, str] = {}
        self._bytes = 0

    def pieces(self) -> Iterator[bytes]:
        """Yield the new archive."""
        for member in self._archive:
            parts = self._judge.path(member.name)
            if not parts:
                continue
            if member.kind == SPECIAL:
                self._judge.skipped += 1
                continue
            yield from self._member(member, parts)
        self._archive.rest()
        yield bytes(2 * tarfile.BLOCKSIZE)

    def counts(self) -> Counts:
        """Return what was written so far."""
        return Counts(len(self._seen), self._bytes)

    def _member(self, member: Member, parts: list[str]) -> Iterator[bytes]:
        name = "/".join(parts)
        if name in self._seen or len(self._seen) >= _MAX_ENTRIES:
            raise DeniedError(f"the archive is refused: {name!r} is in it twice, or it has too many entries")
        self._judge.collides(parts)
        self._judge.repository(parts, member.kind)
        info = tarfile.TarInfo(name)
        info.mode, info.mtime = member.mode & 0o777, member.mtime
        info.type = _TYPES.get(member.kind, tarfile.REGTYPE)
        info.linkname = member.target.decode("utf-8", "surrogateescape")
        if member.kind == HARDLINK:
            target = self._judge.path(member.target)
            if self._judge.was_left(target):
                self._judge.leave(parts, "left out, being another name of what was")
                return
            info.linkname = "/".join(target)
            if self._seen.get(info.linkname, DIRECTORY) == DIRECTORY:
                raise DeniedError(f"the archive is refused: {name!r} is a link to what is not in it")
        content = None
        if why := self._judge.guards(parts, member.kind):
            content = self._same(member, parts)
            if content is None:
                self._judge.leave(parts, f"left out: {why}; allow_autorun=True brings it along")
                return
        if member.kind == SYMLINK:
            self._judge.link(parts, member.target)
        if member.kind in (SYMLINK, HARDLINK) and not why:
            list(self._judge.watched(parts, member))
        self._seen[name] = member.kind
        self._judge.hold(name)
        info.size = member.size
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if member.kind == FILE:
            plain = self._judge.watched(parts, member, self._archive.content())
            yield from plain if content is None else (content,)
            yield bytes(-member.size % tarfile.BLOCKSIZE)
            self._bytes += member.size

    def _same(self, member: Member, parts: list[str]) -> bytes | None:
        """Return the content of what git would obey if it is as in the seed, else None."""
        if member.kind == HARDLINK or member.size > MAX_GUARDED:
            return None
        content = b"".join(self._archive.content())
        return content if self._judge.as_seeded(parts, member, content) else None
