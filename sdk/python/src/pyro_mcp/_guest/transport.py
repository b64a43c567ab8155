"""Connections to the agent: over the bridge of a monitor, or over AF_VSOCK."""

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

from pyro_mcp._guest import limits
from pyro_mcp._guest.errors import ProtocolError, UnsupportedError

_MAX_HANDSHAKE = 32  # bytes of the bridge's answer, its line feed included

# What the kernel says where it knows no vsock, or has none to connect by; see vsock(7).
_NO_VSOCK = (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ENODEV)


class SocketLike(Protocol):
    """What the client needs of a socket. Timeouts are in seconds."""

    def settimeout(self, timeout: float, /) -> None:
        """Bound every operation that follows."""

    def connect(self, address: tuple[int, int] | str, /) -> None:
        """Connect to a context id and port, or to the path of a unix socket."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of data."""

    def recv(self, size: int, /) -> bytes:
        """Receive at most size bytes; none means that the other side has ended."""
        ...

    def close(self) -> None:
        """End the connection."""


SocketFactory: TypeAlias = Callable[[int, int], SocketLike]
"""Makes a socket of an address family and a type, as :class:`socket.socket` does."""


@dataclass(frozen=True)
class Peer:
    """Where an agent is: behind the bridge at ``bridge`` if there is one, else at ``cid``."""

    cid: int
    port: int
    bridge: str | None


class Connection:
    """A connected socket with a deadline for every piece and one for the whole."""

    def __init__(self, sock: SocketLike, idle: float) -> None:
        self._sock = sock
        self._idle = idle
        self._end = time.monotonic() + idle

    def allow(self, size: int) -> None:
        """Add to the whole what size bytes may take."""
        self._end += size / limits.SLOWEST_RATE

    def hurry(self, seconds: float) -> None:
        """Leave no more time than that."""
        self._end = min(self._end, time.monotonic() + seconds)

    def send(self, data: bytes) -> None:
        """Send all of data, in pieces that have a deadline each."""
        for start in range(0, len(data), limits.CHUNK):
            self._pace()
            self._sock.sendall(data[start : start + limits.CHUNK])

    def receive(self, size: int = limits.CHUNK) -> bytes:
        """Receive what is there, at most size bytes; none is the end."""
        self._pace()
        return self._sock.recv(size)

    def _pace(self) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(min(self._idle, left, limits.MAX_WAIT))


@contextmanager
def connected(factory: SocketFactory | None, peer: Peer, timeout: float) -> Iterator[Connection]:
    """Connect, and close at the end of the block whatever happens in it."""
    sock, address = _socket(factory, peer)
    try:
        opening = Connection(sock, min(timeout, limits.CONNECT_TIMEOUT))
        _connect(sock, address, min(timeout, limits.CONNECT_TIMEOUT))
        if peer.bridge:
            _shake_hands(opening, peer.port)
        yield Connection(sock, timeout)
    finally:
        sock.close()


def bridge_path(path: str | os.PathLike[str] | None) -> str | None:
    """Return the path of a bridge as text; an empty one is none."""
    return os.fspath(path) or None if path is not None else None


def _socket(factory: SocketFactory | None, peer: Peer) -> tuple[SocketLike, tuple[int, int] | str]:
    # A bridge wins: the monitors that offer one do not serve AF_VSOCK on the host,
    # however many hosts know that address family.
    if peer.bridge:
        return _make(factory, socket.AF_UNIX), peer.bridge
    family: int | None = getattr(socket, "AF_VSOCK", None)
    if family is None or peer.cid == 0:
        raise UnsupportedError("vsock is not supported here, and no bridge (uds_path) is given")
    try:
        return _make(factory, family), (peer.cid, peer.port)
    except OSError as e:
        if e.errno in _NO_VSOCK:
            raise UnsupportedError(f"vsock is not supported here: {e.strerror}") from e
        raise


def _make(factory: SocketFactory | None, family: int) -> SocketLike:
    if factory is not None:
        return factory(family, socket.SOCK_STREAM)
    return cast("SocketLike", socket.socket(family, socket.SOCK_STREAM))


def _connect(sock: SocketLike, address: tuple[int, int] | str, timeout: float) -> None:
    sock.settimeout(timeout)
    try:
        sock.connect(address)
    except TimeoutError:
        raise TimeoutError(f"connect to {_name(address)}: timed out") from None
    except OSError as e:
        if not isinstance(address, str) and e.errno in _NO_VSOCK:
            raise UnsupportedError(f"vsock is not supported here: {e.strerror}") from e
        if e.errno is None:
            raise
        # The class follows the number, so callers catch what the socket raised.
        raise OSError(e.errno, e.strerror or os.strerror(e.errno), _name(address)) from e


def _name(address: tuple[int, int] | str) -> str:
    return address if isinstance(address, str) else f"vsock {address[0]}:{address[1]}"


def _shake_hands(connection: Connection, port: int) -> None:
    """Ask for the agent's port, as Firecracker's vsock device wants it.

    See https://github.com/firecracker-microvm/firecracker/blob/main/docs/vsock.md.
    """
    connection.send(b"CONNECT %d\n" % port)
    answer = bytearray()
    # Byte by byte, since what follows the line is the agent's.
    while not answer.endswith(b"\n") and len(answer) < _MAX_HANDSHAKE:
        byte = connection.receive(1)
        if not byte:
            break
        answer += byte
    if not answer:
        raise ConnectionAbortedError(errno.ECONNABORTED, "the bridge hung up on CONNECT")
    if not answer.startswith(b"OK ") or not answer.endswith(b"\n"):
        said = bytes(answer).decode("utf-8", "backslashreplace")
        raise ProtocolError(f"the bridge answered CONNECT with {said!r} instead of OK")
