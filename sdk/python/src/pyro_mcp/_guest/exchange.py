"""One request and its answer, on a connection of its own."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

from pyro_mcp._guest import limits
from pyro_mcp._guest.decode import Fields, decode_reply
from pyro_mcp._guest.errors import ProtocolError
from pyro_mcp._guest.transport import Connection, Peer, SocketFactory, bridge_path, connected


@dataclass(frozen=True)
class Request:
    """What the agent is asked, and what its answer may be."""

    action: str
    fields: Mapping[str, Any]
    timeout: float = limits.USUAL_TIMEOUT  # seconds, for the whole or between two pieces
    limit: int = limits.MAX_SHORT_REPLY  # bytes of the reply
    has_list: bool = False

    def line(self) -> bytes:
        """Return the request line, or raise ValueError for what JSON cannot carry."""
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise ValueError(f"{self.action}: timeout_seconds is {self.timeout}, it has to be above 0")
        value = {"action": self.action, **self.fields}
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
        except UnicodeEncodeError as e:
            raise ValueError(f"{self.action}: {e.object[e.start : e.end]!r} cannot be UTF-8") from None
        line = json.dumps(value).encode("ascii") + b"\n"
        if len(line) > limits.MAX_REQUEST_LINE:
            raise ValueError(
                f"{self.action}: request of {len(line)} bytes, allowed are {limits.MAX_REQUEST_LINE}"
            )
        return line


class Caller:
    """What every call goes through. It keeps no connection and can be used by many threads."""

    def __init__(self, socket_factory: SocketFactory | None = None) -> None:
        self._factory = socket_factory

    def _ask(self, peer: Peer, request: Request) -> Fields:
        line = request.line()
        with self._connected(peer, request) as connection:
            connection.send(line)
            data = read_reply(connection, request)
        return decode_reply(data, request.action, has_list=request.has_list)

    def _upload(self, peer: Peer, request: Request, body: BinaryIO, size: int) -> Fields:
        line = request.line()
        with self._connected(peer, request) as connection:
            connection.allow(size)
            fault = _send(connection, chain([line], _pieces(body, size)))
            if fault is None:
                data = read_reply(connection, request)
            else:
                data = _last_words(connection, request, fault)
        reply = decode_reply(data, request.action)
        if fault is not None:
            raise ProtocolError(f"{request.action}: the agent answered before all was sent") from fault
        return reply

    @contextmanager
    def _connected(self, peer: Peer, request: Request) -> Iterator[Connection]:
        """Connect; a deadline that struck says at what."""
        try:
            with connected(self._factory, peer, request.timeout) as connection:
                yield connection
        except TimeoutError as e:
            raise TimeoutError(f"{request.action}: {e}") from e


def peer_of(cid: int, port: int, uds_path: str | os.PathLike[str] | None) -> Peer:
    """Return where the agent is."""
    return Peer(cid, port, bridge_path(uds_path))


def read_reply(connection: Connection, request: Request) -> bytes:
    """Read to the end of the connection."""
    data = bytearray()
    while chunk := _receive(connection, data):
        data += chunk
        if len(data) > request.limit:
            raise ProtocolError(f"{request.action}: the agent's reply is longer than {request.limit} bytes")
    return bytes(data)


def _receive(connection: Connection, before: bytearray) -> bytes:
    try:
        return connection.receive()
    except ConnectionResetError:
        # An agent that closes before it has read all of a request resets the connection
        # behind its reply. The reply is whole if its line is.
        if before.endswith(b"\n"):
            return b""
        raise


def _last_words(connection: Connection, request: Request, fault: OSError) -> bytes:
    """Return the reply of an agent that has stopped reading, or raise fault."""
    connection.hurry(limits.LAST_WORDS)
    try:
        data = read_reply(connection, request)
    except OSError:
        raise fault from None
    if not data:
        raise fault
    return data


def _send(connection: Connection, pieces: Iterable[bytes]) -> OSError | None:
    """Send all pieces, or return why that ended. Faults of the pieces are raised."""
    for piece in pieces:
        try:
            connection.send(piece)
        except OSError as fault:
            return fault
    return None


def _pieces(body: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield exactly size bytes."""
    left = size
    while left > 0:
        piece = body.read(min(left, limits.CHUNK))
        if not piece:
            raise ValueError(f"the archive has {size - left} bytes, {size} were announced")
        left -= len(piece)
        yield piece
