"""Reads the archives that workspaces send. A hostile guest may have made them.

They are pax archives as Go's archive/tar writes them (POSIX.1-2017, pax), which is less than
the standard library reads, and every length has a bound.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pyro_mcp._api.errors import DeniedError

_BLOCK = 512
_MAX_RECORDS = 64 << 10  # bytes of extended header of one member
_MAX_SIZE = 1 << 62
_CHUNK = 256 << 10
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*\Z")
_SPECIALS = b"3467"  # devices, FIFOs and what nobody makes any more

FILE, HARDLINK, SYMLINK, DIRECTORY, SPECIAL = "file", "hardlink", "symlink", "directory", "special"


class Member(NamedTuple):
    """One member as its header has it. Names are bytes, and nothing is proven of them."""

    name: bytes
    kind: str
    mode: int
    size: int
    mtime: int
    target: bytes


class Reader:
    """Members and their content, out of a function that returns what comes next."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._held = b""
        self._at = 0
        self._left = 0  # of the content of the member that is under way
        self._pad = 0

    def __iter__(self) -> Iterator[Member]:
        """Yield each member; its content is read before the next, or passed over."""
        while (member := self._next()) is not None:
            yield member

    def content(self) -> Iterator[bytes]:
        """Yield the content of the member that came last."""
        while self._left > 0:
            data = self._some(min(self._left, _CHUNK))
            self._left -= len(data)
            yield data

    def rest(self) -> None:
        """Read to the end, which there must be."""
        while self._receive():
            pass

    def _next(self) -> Member | None:
        extended: dict[bytes, bytes] = {}
        while True:
            for _ in self.content():
                pass
            self._exactly(self._pad)
            self._pad = 0
            block = self._exactly(_BLOCK)
            if not block.strip(b"\0"):
                if self._exactly(_BLOCK).strip(b"\0"):
                    raise _bad("goes on behind its end")
                return None
            kind = self._checked(block)
            size = _number(block[124:136])
            if kind in (b"x", b"g"):
                if size > _MAX_RECORDS:
                    raise _bad("has an extended header that is too long")
                records = _records(self._exactly(size))
                self._exactly(-size % _BLOCK)
                if kind == b"x":
                    extended = records
                continue
            return self._member(block, kind, extended)

    def _member(self, block: bytes, kind: bytes, extended: dict[bytes, bytes]) -> Member:
        name = extended.get(b"path")
        if name is None:
            prefix, short = _text(block[345:500]), _text(block[:100])
            name = prefix + b"/" + short if prefix else short
        kinds = {b"0": FILE, b"\0": FILE, b"1": HARDLINK, b"2": SYMLINK, b"5": DIRECTORY}
        what = kinds.get(kind) or (SPECIAL if kind in _SPECIALS else None)
        if what is None:
            raise _bad(f"has a member of the unknown type {kind!r}")
        size = _decimal(extended[b"size"]) if b"size" in extended else _number(block[124:136])
        self._left = size if what == FILE else 0
        self._pad = -self._left % _BLOCK
        mtime = _decimal(extended[b"mtime"]) if b"mtime" in extended else _number(block[136:148])
        target = extended.get(b"linkpath", _text(block[157:257]))
        return Member(name, what, _number(block[100:108]) & 0o7777, self._left, mtime, target)

    def _checked(self, block: bytes) -> bytes:
        """Return the type of a header whose checksum is right."""
        if sum(block) - sum(block[148:156]) + 8 * 0x20 != _number(block[148:156]):
            raise _bad("has a damaged header")
        return block[156:157]

    def _some(self, most: int) -> bytes:
        """Return at least a byte."""
        if self._at >= len(self._held):
            self._held, self._at = self._receive(), 0
            if not self._held:
                raise _bad("was cut off")
        data = self._held[self._at : self._at + most]
        self._at += len(data)
        return data

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size > 0:
            pieces.append(self._some(size))
            size -= len(pieces[-1])
        return b"".join(pieces)


def _bad(what: str) -> DeniedError:
    return DeniedError(
        f"the archive {what}",
        hint="what came from the workspace is no tree that may be put here; nothing was",
    )


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    if not field.strip(b" \0"):
        return 0
    found = _OCTAL.match(field)
    if found is None:
        raise _bad("has a number that is none")
    return int(found[1], 8)


def _decimal(text: bytes) -> int:
    whole = text.partition(b".")[0]
    if not whole.removeprefix(b"-").isdigit() or len(whole) > 19 or abs(int(whole)) > _MAX_SIZE:
        raise _bad("has a number that is none")
    return max(int(whole), 0)


def _records(data: bytes) -> dict[bytes, bytes]:
    """Return the records of an extended header: a length, a blank, KEY=VALUE, a line feed."""
    records: dict[bytes, bytes] = {}
    while data:
        digits, _, _ = data.partition(b" ")
        if not digits.isdigit() or len(digits) > 6:
            raise _bad("has an extended header that makes no sense")
        record, data = data[: int(digits)], data[int(digits) :]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not equals or not record.endswith(b"\n") or len(record) != int(digits) or b"\0" in value:
            raise _bad("has an extended header that makes no sense")
        records[key] = value
    return records
