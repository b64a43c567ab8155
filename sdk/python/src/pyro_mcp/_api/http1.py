"""HTTP/1.1 as bytes: requests out of values, and values out of answers.

Only what pyro says is understood (RFC 9112): answers with a length, in chunks, or to the end
of the connection. Nothing here touches a socket, so both faces share it.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, urlencode

from pyro_mcp._api import limits
from pyro_mcp._api.errors import InvalidError

QueryValue = str | int | bool | Iterable[str] | None

_MAX_LINE = 1024  # of a chunk's size, and of a trailer
_MAX_TRAILERS = 32
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\Z")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\Z")


class ProtocolError(Exception):
    """The other side speaks no HTTP that is understood here."""


def segment(text: str) -> str:
    """Encode a name as one segment of a path. What a path takes for something else is refused."""
    try:
        if text not in ("", ".", ".."):
            return quote(text, safe="")
    except (TypeError, UnicodeEncodeError):
        pass
    raise InvalidError(f"{text!r} is no name of anything")


def target(path: str, query: dict[str, QueryValue] | None = None) -> str:
    """Put path and query together. What is None is left out, and lists repeat their name."""
    pairs: list[tuple[str, str]] = []
    for name, value in (query or {}).items():
        if value is None:
            continue
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, str | int):
            pairs.append((name, str(value)))
        else:
            pairs.extend((name, one) for one in value)
    return f"{path}?{urlencode(pairs, errors='surrogateescape')}" if pairs else path


def request(
    method: str,
    where: str,
    authority: str,
    *,
    token: str | None = None,
    body: bytes | None = None,
    content_type: str = "application/json",
    chunked: bool = False,
    upgrade: str | None = None,
) -> bytes:
    """Return the head of a request, and its body unless that is to come in chunks."""
    lines = [f"{method} {where} HTTP/1.1", f"Host: {authority}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if upgrade:
        lines += ["Connection: Upgrade", f"Upgrade: {upgrade}"]
    if chunked:
        lines += ["Transfer-Encoding: chunked", f"Content-Type: {content_type}"]
    elif body is not None:
        lines += [f"Content-Length: {len(body)}", f"Content-Type: {content_type}"]
    elif method not in ("GET", "DELETE"):
        lines.append("Content-Length: 0")
    head = "\r\n".join(lines)
    if len(lines) != head.count("\n") + 1 or not head.isascii():
        raise ProtocolError("the request holds a line break or is not ASCII")
    return head.encode("ascii") + b"\r\n\r\n" + (b"" if chunked or body is None else body)


def chunk(data: bytes) -> bytes:
    """Return a piece of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Head(NamedTuple):
    """The head of an answer. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]

    @property
    def stays(self) -> bool:
        """Whether the connection can be used again."""
        return self.headers.get("connection", "").lower() != "close"


def parse_head(data: bytes | bytearray) -> tuple[Head, bytes] | None:
    """Return the first head in data and what follows it, or None while it is not whole."""
    end = data.find(b"\r\n\r\n")
    if end > limits.HEAD or (end < 0 and len(data) > limits.HEAD):
        raise ProtocolError(f"the head of the answer is longer than {limits.HEAD} bytes")
    if end < 0:
        return None
    first, *rest = bytes(data[:end]).split(b"\r\n")
    status = _STATUS.match(first)
    if status is None:
        raise ProtocolError(f"the answer begins with {first[:64]!r}")
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.match(name):
            raise ProtocolError(f"a header of the answer is {line[:64]!r}")
        key = name.decode("ascii").lower()
        if key in headers and key in ("content-length", "transfer-encoding"):
            raise ProtocolError(f"the answer has {key} twice")
        headers[key] = value.strip(b" \t").decode("latin-1")
    return Head(int(status[1]), headers), bytes(data[end + 4 :])


class Body:
    """The body of an answer, as it is taken out of what comes on the connection."""

    def __init__(self, head: Head) -> None:
        self.done = False
        self._rest = bytearray()
        self._trailers = -1  # lines that were seen, once they begin
        self._left: int | None = None  # of the body, or of the chunk that is under way
        self._in_chunk = False
        coding = head.headers.get("transfer-encoding")
        self._chunked = coding is not None
        if coding is not None and coding.lower() != "chunked":
            raise ProtocolError(f"the answer is coded as {coding[:64]!r}")
        if head.status in (204, 304):
            self.done = True
        elif not self._chunked and (length := head.headers.get("content-length")) is not None:
            if not length.isascii() or not length.isdigit() or len(length) > 18:
                raise ProtocolError(f"the answer is {length[:64]!r} bytes long")
            self._left = int(length)
            self.done = self._left == 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the connection and return those of the body."""
        if self.done and data:
            raise ProtocolError("more came than the answer")
        if self._chunked:
            return self._unchunk(data)
        if self._left is not None:
            if len(data) > self._left:
                raise ProtocolError("more came than the answer")
            self._left -= len(data)
            self.done = self._left == 0
        return data

    def end(self) -> None:
        """Tell that the connection has ended."""
        if not self.done and (self._chunked or self._left is not None):
            raise EOFError("the answer was cut off")
        self.done = True

    def _unchunk(self, data: bytes) -> bytes:
        self._rest += data
        out = bytearray()
        while not self.done:
            if self._in_chunk and self._left:
                piece = self._rest[: self._left]
                if not piece:
                    break
                del self._rest[: len(piece)]
                self._left -= len(piece)
                out += piece
                continue
            line = self._line()
            if line is None:
                break
            self._took(line)
        if self.done and self._rest:
            raise ProtocolError("more came than the answer")
        return bytes(out)

    def _took(self, line: bytes) -> None:
        """Handle a line between chunks: the end of one, the size of one, or a trailer."""
        if self._trailers >= 0:
            self._trailers += 1
            self.done = not line
            if self._trailers > _MAX_TRAILERS:
                raise ProtocolError("the answer has too many trailers")
        elif self._in_chunk:
            if line:
                raise ProtocolError("a chunk of the answer is longer than it says")
            self._in_chunk = False
        else:
            size = _SIZE.match(line)
            if size is None:
                raise ProtocolError(f"a chunk of the answer begins with {line[:64]!r}")
            self._left = int(size[1], 16)
            self._in_chunk = self._left > 0
            if self._left == 0:
                self._trailers = 0

    def _line(self) -> bytes | None:
        end = self._rest.find(b"\r\n", 0, _MAX_LINE + 2)
        if end < 0:
            if len(self._rest) > _MAX_LINE:
                raise ProtocolError("a line between chunks is too long")
            return None
        line = bytes(self._rest[:end])
        del self._rest[: end + 2]
        return line
