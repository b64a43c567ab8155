# Made by tools/python-faces.py of aio/_process.py. Change that one.
"""Commands that are talked to while they run."""

import codecs
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple

from pyro_mcp._api import frames, words
from pyro_mcp._api.errors import of_reply
from pyro_mcp._api.face_sync import ApiStream
from pyro_mcp._models.workspace import CommandResult

STDOUT = "stdout"
STDERR = "stderr"
_MAX_LINE = 1 << 20


class Output(NamedTuple):
    """A piece of what a command printed: ``stream`` is stdout or stderr."""

    stream: str
    data: bytes

    @property
    def text(self) -> str:
        """The data as text; bytes that are no UTF-8, or half of a character, are U+FFFD."""
        return self.data.decode("utf-8", "replace")


class Process:
    """A command that runs in a workspace.

    Iterate over it for its output, as it comes. Leaving its ``with`` block, or closing it, kills
    the command and all that it started in its process group. One task or thread at a time reads
    and writes; signal and kill can be called by others.
    """

    def __init__(self, stream: ApiStream, *, stdin: bool) -> None:
        self.result: CommandResult | None = None
        self._stream = stream
        self._stdin = stdin
        self._input = stdin
        self._error: Exception | None = None

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> "Process":
        return self

    def __next__(self) -> Output:
        """Return the next piece of output."""
        while self.result is None:
            if self._error is not None:
                raise self._error
            piece = self._next()
            if piece is not None:
                return piece
        raise StopIteration

    def _next(self) -> Output | None:
        try:
            frame = self._stream.receive()
        except BaseException as e:
            if isinstance(e, Exception):
                self._error = e
            self._stream.close()
            raise
        if frame.type == frames.STDOUT:
            return Output(STDOUT, frame.payload)
        if frame.type == frames.STDERR:
            return Output(STDERR, frame.payload)
        if frame.type == frames.EXIT:
            self.result = CommandResult.of(frame.json())
        elif frame.type == frames.FAIL:
            self._error = of_reply(frame.json(), "exec")
        if self.result is not None or self._error is not None:
            self._stream.close()
        return None

    def lines(self) -> Iterator[str]:
        """Yield the lines of both streams as texts, without their ends.

        One of more than a million characters comes in several parts.
        """
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in (STDOUT, STDERR)}
        held = {STDOUT: "", STDERR: ""}
        for piece in self:
            *whole, rest = (held[piece.stream] + decoders[piece.stream].decode(piece.data)).split("\n")
            if len(rest) > _MAX_LINE:  # a guest may never end one
                whole, rest = [*whole, rest], ""
            held[piece.stream] = rest
            for line in whole:
                yield line.removesuffix("\r")
        for name, decoder in decoders.items():
            if rest := held[name] + decoder.decode(b"", True):
                yield rest.removesuffix("\r")

    def write(self, data: bytes | str) -> None:
        """Write to the command's stdin. What it does not read any more is dropped."""
        self._check_input()
        try:
            self._stream.send_reading(words.input_frames(data))
        except BaseException as e:  # half of a frame may be on its way
            if isinstance(e, Exception):
                self._error = e
            self.close()
            raise

    def close_stdin(self) -> None:
        """Let the command see the end of its input."""
        if self._input:
            self._stream.send(frames.STDIN)
        self._input = False

    def signal(self, name: str) -> None:
        """Send a signal to the process group: HUP, INT, QUIT, TERM, KILL, USR1 or USR2."""
        if self.result is None:
            self._stream.send(frames.SIGNAL, words.json_bytes({"name": words.signal_name(name)}))

    def kill(self) -> None:
        """Send KILL."""
        self.signal("KILL")

    def terminate(self) -> None:
        """Send TERM."""
        self.signal("TERM")

    def resize(self, cols: int, rows: int) -> None:
        """Change the size of the terminal of a command that was given one."""
        if self.result is None:
            self._stream.send(frames.RESIZE, words.json_bytes({"cols": cols, "rows": rows}))

    def wait(self) -> CommandResult:
        """Return how the command ended. Output that was not read is dropped."""
        for _ in self:
            pass
        return self._ended()

    def communicate(self, data: bytes | str | None = None) -> CommandResult:
        """Write data, end the input, and return how the command ended with what it printed.

        Of each stream at most 8 MiB are kept, head and tail.
        """
        if data is not None:
            self._check_input()
            self._stream.feed(words.stdin_frames(data))
            self._input = False
        else:
            self.close_stdin()
        captured = {STDOUT: words.Capture(), STDERR: words.Capture()}
        for piece in self:
            captured[piece.stream].add(piece.data)
        return words.with_output(self._ended(), captured)

    def close(self) -> None:
        """End the connection, and with it a command that still runs."""
        if self.result is None and self._error is None:
            self._error = ValueError("the process was closed")
        self._stream.close()

    def feed(self, source: words.Input) -> None:
        """Pass on what the command reads while its output is read."""
        self._stream.feed(words.stdin_frames(source))
        self._input = False

    def _ended(self) -> CommandResult:
        assert self.result is not None  # noqa: S101 - the output has ended, and so has it
        return self.result

    def _check_input(self) -> None:
        if not self._input:
            what = "its input has ended" if self._stdin else "it was started without stdin=True"
            raise ValueError(f"nothing can be written to the command: {what}")


class Terminal:
    """A terminal that is joined with a shell.

    Iterate over it for what the shell prints, as bytes, until the shell has ended. Closing it
    leaves the shell as it is.
    """

    def __init__(self, stream: ApiStream) -> None:
        self._stream = stream
        self._ended = False

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> "Terminal":
        return self

    def __next__(self) -> bytes:
        """Return what was printed next."""
        while not self._ended:
            frame = self._stream.receive()
            if frame.type == frames.STDOUT:
                return frame.payload
            self._ended = frame.type in (frames.EXIT, frames.FAIL)
            if frame.type == frames.FAIL:
                raise of_reply(frame.json(), "attach to shell")
        raise StopIteration

    def write(self, data: bytes | str) -> None:
        """Type something."""
        try:
            self._stream.send_reading(words.input_frames(data))
        except BaseException:  # half of a frame may be on its way
            self.close()
            raise

    def resize(self, cols: int, rows: int) -> None:
        """Change the size of the terminal."""
        self._stream.send(frames.RESIZE, words.json_bytes({"cols": cols, "rows": rows}))

    def close(self) -> None:
        """Leave the shell."""
        self._ended = True
        self._stream.close()


def pour(stream: ApiStream, op: str) -> Iterator[tuple[int, Any]]:
    """Yield frames of output as type and bytes, and last the end as its type and an object."""
    try:
        while True:
            frame = stream.receive()
            if frame.type in (frames.STDOUT, frames.STDERR):
                yield frame.type, frame.payload
            elif frame.type == frames.EXIT:
                yield frame.type, frame.json()
                return
            elif frame.type == frames.FAIL:
                raise of_reply(frame.json(), op)
    finally:
        stream.close()
