"""What callers say, in the words of the API."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from pyro_mcp._api import frames, limits
from pyro_mcp._api.errors import InternalError, InvalidError

if TYPE_CHECKING:
    from pyro_mcp._models.workspace import CommandResult

Command = str | Sequence[str]
"""A line for /bin/sh -lc, or a program and its arguments."""

Input = bytes | str | BinaryIO | Iterable[bytes]
"""What a command reads or a file is written from: all of it, or a file or pieces that are read on the way."""

_MOST = 8 << 20  # bytes of each stream that a result keeps, as those without a stream do
_PIECE = 32 << 10


def command_fields(command: Command) -> dict[str, Any]:
    """Return the fields of a command."""
    if isinstance(command, str):
        return {"command": command}
    words = [] if isinstance(command, bytes) else [os.fspath(word) for word in command]
    if not words or not all(isinstance(word, str) for word in words):
        raise InvalidError(
            "command is no text and no list of texts", hint="give a line, or a program and its arguments"
        )
    return {"argv": words}


def whole_seconds(name: str, seconds: float | None) -> int | None:
    """Return a time in whole seconds, rounded up, if there is one."""
    return None if seconds is None else needed_seconds(name, seconds)


def needed_seconds(name: str, seconds: float) -> int:
    """Return a time that has to be given in whole seconds, rounded up."""
    if not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds <= 0:
        raise InvalidError(f"{name} is {seconds!r}, it must be a number of seconds greater than 0")
    return math.ceil(seconds)


def secret_fields(values: Mapping[str, str] | None) -> list[dict[str, str]] | None:
    """Return secrets by their names."""
    if not values:
        return None
    return [{"name": name, "value": value, "source_kind": "literal"} for name, value in values.items()]


def size_fields(size: tuple[int, int] | None) -> dict[str, int] | None:
    """Return the size of a terminal."""
    return None if size is None else {"cols": size[0], "rows": size[1]}


def signal_name(name: str) -> str:
    """Return a signal's name without SIG."""
    return name.upper().removeprefix("SIG")


def stdin_frames(source: Input) -> Iterator[bytes]:
    """Yield frames with what a command reads, and its end."""
    for piece in pieces_of(source, _PIECE):
        yield frames.encode(frames.STDIN, piece)
    yield frames.encode(frames.STDIN)


def pieces_of(content: Input, size: int = limits.CHUNK) -> Iterator[bytes]:
    """Yield what a content holds, in pieces of a bounded size, none of them empty."""
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, bytes | bytearray | memoryview):
        view = memoryview(content).cast("B")
        for start in range(0, len(view), size):
            yield bytes(view[start : start + size])
    elif hasattr(content, "read"):
        while data := content.read(size):
            yield from pieces_of(data, size)
    else:
        for piece in content:
            yield from pieces_of(piece, size)


def input_frames(data: bytes | str) -> bytes:
    """Return frames with what is written to a command."""
    return b"".join(frames.encode(frames.STDIN, piece) for piece in pieces_of(data, _PIECE))


class Capture:
    """Keeps the beginning and the end of a stream."""

    def __init__(self, most: int = _MOST) -> None:
        self.truncated = False
        self._half = most // 2
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, data: bytes) -> None:
        """Take what comes next."""
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._half:
            self.truncated = True
            del self._tail[: -self._half]

    def text(self) -> str:
        """Return what was kept; bytes that are no UTF-8 are U+FFFD."""
        over = len(self._tail) - self._half
        if over > 0:
            self.truncated = True
            del self._tail[:over]
        if not self.truncated:
            return (self._head + self._tail).decode("utf-8", "replace")
        return f"{self._head.decode('utf-8', 'replace')}\n[…]\n{self._tail.decode('utf-8', 'replace')}"


def exec_within(timeout: float) -> float:
    """Return how long an answer to a command may take."""
    return timeout + limits.EXEC_MARGIN


def json_bytes(value: dict[str, Any]) -> bytes:
    """Return an object as JSON."""
    return json.dumps(value).encode()


def with_output(result: "CommandResult", captured: Mapping[str, Capture]) -> "CommandResult":
    """Return the result of a command with what it printed."""
    from dataclasses import replace

    out, err = captured["stdout"], captured["stderr"]
    return replace(
        result,
        stdout=out.text(),
        stderr=err.text(),
        stdout_truncated=out.truncated,
        stderr_truncated=err.truncated,
    )


def readiness_fields(ready: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return what a service is ready by."""
    if ready is None:
        return None
    fields = {"tcp": "address", "http": "url", "file": "path", "command": "command"}
    if len(ready) != 1 or (kind := next(iter(ready))) not in fields:
        raise InvalidError(
            f"ready is {dict(ready)!r}",
            hint='use one of {"tcp": …}, {"http": …}, {"file": …}, {"command": …}',
        )
    return {"type": kind, fields[kind]: ready[kind]}


def publish_fields(ports: Iterable[int | tuple[int, int]]) -> list[dict[str, int]] | None:
    """Return ports that are published."""
    asked = [
        {"guest_port": port} if isinstance(port, int) else {"host_port": port[0], "guest_port": port[1]}
        for port in ports
    ]
    return asked or None


def from_json(data: bytes) -> object:
    """Return what a frame says."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise InternalError(f"what the workspace sends is no JSON: {e}") from e
    return value
