"""A directory of this machine as an archive, piece by piece and never in memory.

What comes out is a pax archive (POSIX.1-2017, pax, "pax Interchange Format") that the
workspace takes as it is: relative names, no owners, times in whole seconds.
"""

import contextlib
import os
import stat
import tarfile
from collections.abc import Container, Iterator
from itertools import chain
from pathlib import Path

from pyro_mcp._api.errors import ConflictError, DeniedError, InvalidError, NotFoundError, UnsupportedError
from pyro_mcp._trees.patterns import Excluded

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 256 << 10
_ENDS = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")

DIRECTORY = "directory"
ARCHIVE = "tar_archive"


class Source:
    """A directory or tar archive on its way into a workspace. Symbolic links stay links."""

    def __init__(
        self, path: str | os.PathLike[str], excluded: list[Excluded], *, skip_special: bool = False
    ) -> None:
        self.path = _resolved(path)
        self.skipped = 0
        self._excluded = excluded
        self._skip_special = skip_special
        self._links: dict[tuple[int, int], str] = {}
        if self.path.is_dir():
            self.mode = DIRECTORY
        elif self.path.is_file() and self.path.name.lower().endswith(_ENDS):
            self.mode = ARCHIVE
            if excluded:
                raise InvalidError("exclude and gitignore are for directories", hint="leave them out")
        else:
            raise InvalidError(
                f"{self.path}: neither a directory nor a file called *{', *'.join(_ENDS)}",
                hint="unpack it, or put it into a tar archive",
            )

    def raw(self) -> Iterator[bytes]:
        """Yield the archive; a file as it is, compressed or not."""
        return self._directory() if self.mode == DIRECTORY else _file(self.path)

    def plain(self, without: Container[str] = ()) -> Iterator[bytes]:
        """Yield the archive in the one form that a push takes, but for members of a directory."""
        return self._directory(without) if self.mode == DIRECTORY else _repacked(self.path)

    def entries(self) -> Iterator[tuple[str, os.stat_result, str]]:
        """Yield the files, directories and links of a directory: name, status, and a link's target."""
        for entry, name in self._walk(str(self.path), ""):
            with contextlib.suppress(FileNotFoundError):  # it has just been removed
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISLNK(found.st_mode):
                    yield name, found, os.readlink(entry.path)  # noqa: PTH115
                elif stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode):
                    yield name, found, ""

    def _directory(self, without: Container[str] = ()) -> Iterator[bytes]:
        members = (self._member(*one) for one in self._walk(str(self.path), "") if one[1] not in without)
        yield from _gathered(chain.from_iterable(members))
        yield bytes(2 * _BLOCK)

    def _walk(self, at: str, below: str) -> "Iterator[tuple[os.DirEntry[str], str]]":
        """Yield what is there, each directory before what is in it."""
        try:
            with os.scandir(at) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as e:
            raise _unreadable(at, e) from e
        for entry in entries:
            name = below + entry.name
            is_dir = entry.is_dir(follow_symlinks=False)
            if any(excluded(name, is_dir) for excluded in self._excluded):
                continue
            yield entry, name
            if is_dir:
                yield from self._walk(entry.path, name + "/")

    def _member(self, entry: "os.DirEntry[str]", name: str) -> Iterator[bytes]:
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return  # it has just been removed
        info = _header(name, found)
        if stat.S_ISDIR(found.st_mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(found.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(entry.path)  # noqa: PTH115
        elif not stat.S_ISREG(found.st_mode):
            self._special(entry.path)
            return
        elif first := self._first_name(found, name):
            info.type, info.linkname = tarfile.LNKTYPE, first
        else:
            yield from _content(entry.path, info, found)
            return
        yield _encoded(info)

    def _first_name(self, found: os.stat_result, name: str) -> str | None:
        """Return what the same file was called before, if it was."""
        if found.st_nlink < 2:
            return None
        first = self._links.setdefault((found.st_dev, found.st_ino), name)
        return first if first != name else None

    def _special(self, path: str) -> None:
        if not self._skip_special:
            raise UnsupportedError(
                f"{path} is a FIFO, socket or device", hint="leave it out, or pass skip_special=True"
            )
        self.skipped += 1


def _resolved(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path).expanduser().resolve(strict=True)
    except FileNotFoundError as e:
        raise NotFoundError(
            f"{os.fspath(path)} is not there", hint="name a directory or a tar archive"
        ) from e
    except (OSError, RuntimeError) as e:
        raise InvalidError(f"{os.fspath(path)}: {e}", hint="name a directory or a tar archive") from e


def _unreadable(path: str, error: OSError) -> Exception:
    if isinstance(error, PermissionError):
        return DeniedError(
            f"{path} cannot be read: {error.strerror}", hint="leave it out, or make it readable"
        )
    return ConflictError(f"{path}: {error.strerror}", hint="it changed while it was read: try again")


def _header(name: str, found: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(found.st_mode)
    info.mtime = found.st_mtime_ns // 1_000_000_000  # the float may be that of the next second
    return info


def _encoded(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(path: str, info: tarfile.TarInfo, found: os.stat_result) -> Iterator[bytes]:
    """Yield a regular file. It has the size that it had when it was opened."""
    try:
        # What took the name meanwhile is not followed, and not waited for.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as e:
        raise _unreadable(path, e) from e
    with open(fd, "rb", buffering=0) as file:  # noqa: PTH123 - it is open already
        now = os.fstat(fd)
        if not stat.S_ISREG(now.st_mode) or (now.st_dev, now.st_ino) != (found.st_dev, found.st_ino):
            raise ConflictError(f"{path} became another file while it was read", hint="try again")
        info.size = now.st_size
        yield _encoded(info)
        left = now.st_size
        while left > 0:
            data = file.read(min(left, _CHUNK))
            if not data:
                raise ConflictError(f"{path} became shorter while it was read", hint="try again")
            left -= len(data)
            yield data
        yield bytes(-now.st_size % _BLOCK)


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Put small pieces together: most members are smaller than what is sent at once."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            yield data


def _repacked(path: Path) -> Iterator[bytes]:
    """Yield the members of an archive without its compression and what only it knows."""
    if path.name.lower().endswith((".tar.zst", ".tzst")):
        raise UnsupportedError(
            f"{path}: zstd is not understood here", hint="seed a workspace with it, or unpack it first"
        )
    try:
        with tarfile.open(path, "r|*") as archive:
            yield from _gathered(_repack(archive))
    except (tarfile.TarError, EOFError, OSError) as e:
        raise InvalidError(f"{path} is no tar archive: {e}", hint="name a directory or a tar archive") from e
    yield bytes(2 * _BLOCK)


def _repack(archive: tarfile.TarFile) -> Iterator[bytes]:
    for member in archive:
        name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
        if not name:
            continue
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise UnsupportedError(
                f"{member.name} is a FIFO, socket or device", hint="leave it out of the archive"
            )
        info = tarfile.TarInfo(name)
        info.mode, info.mtime = member.mode & 0o7777, int(member.mtime)
        info.type = tarfile.REGTYPE if member.isreg() else member.type
        info.linkname = member.linkname
        if member.islnk():
            info.linkname = "/".join(part for part in member.linkname.split("/") if part not in ("", "."))
        info.size = member.size if member.isreg() else 0
        yield _encoded(info)
        content = archive.extractfile(member) if member.isreg() else None
        if content is not None:
            while data := content.read(_CHUNK):
                yield data
            yield bytes(-member.size % _BLOCK)
