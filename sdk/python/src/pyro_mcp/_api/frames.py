"""Frames: what a connection carries after it was upgraded to pyro-frames/1.

A byte of type, four bytes of length in network order, and at most 1 MiB of payload.
"""

import json
from typing import Any, NamedTuple

from pyro_mcp._api.http1 import ProtocolError

PROTOCOL = "pyro-frames/1"
MAX_PAYLOAD = 1 << 20

STDIN = ord("i")
SIGNAL = ord("s")
RESIZE = ord("r")
STDOUT = ord("o")
STDERR = ord("e")
EXIT = ord("x")
FAIL = ord("f")
HEAD = ord("h")

_OVERHEAD = 5


class Frame(NamedTuple):
    """One frame as it came."""

    type: int
    payload: bytes

    def json(self) -> dict[str, Any]:
        """Return the payload as a JSON object."""
        try:
            value = json.loads(self.payload)
        except (ValueError, RecursionError) as e:
            raise ProtocolError(f"frame {chr(self.type)!r}: {e}") from e
        if not isinstance(value, dict):
            raise ProtocolError(f"frame {chr(self.type)!r} is no JSON object")
        return value


def encode(kind: int, payload: bytes = b"") -> bytes:
    """Return a frame as bytes."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a frame of {len(payload)} bytes, allowed are {MAX_PAYLOAD}")
    return b"%c%b%b" % (kind, len(payload).to_bytes(4, "big"), payload)


def encode_json(kind: int, value: dict[str, Any]) -> bytes:
    """Return a frame with a JSON object."""
    return encode(kind, json.dumps(value).encode())


class Parser:
    """Frames out of bytes, however those are cut."""

    def __init__(self, data: bytes = b"") -> None:
        self._rest = bytearray(data)

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._rest += data

    @property
    def held(self) -> int:
        """How many bytes were fed and not taken."""
        return len(self._rest)

    def next(self) -> Frame | None:
        """Return the next frame, or None while it is not whole."""
        rest = self._rest
        if len(rest) < _OVERHEAD:
            return None
        size = int.from_bytes(rest[1:_OVERHEAD], "big")
        if size > MAX_PAYLOAD:
            raise ProtocolError(f"frame {chr(rest[0])!r} announces {size} bytes, allowed are {MAX_PAYLOAD}")
        if len(rest) < _OVERHEAD + size:
            return None
        frame = Frame(rest[0], bytes(rest[_OVERHEAD : _OVERHEAD + size]))
        del rest[: _OVERHEAD + size]
        return frame
