"""A bridge with an agent behind it, that says what a test tells it to."""

import json
import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE = 20.0  # seconds: no test waits longer for the other side

Script = Callable[["Talk"], None]


@dataclass
class Talk:
    """One connection, as the agent sees it."""

    sock: socket.socket
    handshake: bytes = b""
    line: bytes = b""
    body: bytes = b""

    def request(self) -> dict[str, Any]:
        value = json.loads(self.line)
        assert isinstance(value, dict)
        return value

    def hear_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            byte = self.sock.recv(1)
            if not byte:
                break
            line += byte
        return line

    def hear_body(self, size: int) -> None:
        while len(self.body) < size and (chunk := self.sock.recv(size - len(self.body))):
            self.body += chunk

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)


def answering(reply: bytes) -> Script:
    """Hear a request with its body, say reply, and close."""

    def script(talk: Talk) -> None:
        talk.line = talk.hear_line()
        if not talk.line:
            return  # it was the greeting that the client did not like
        talk.hear_body(json.loads(talk.line).get("archive_size", 0))
        talk.say(reply)

    return script


def silent(talk: Talk) -> None:
    """Hear a request and never answer."""
    talk.line = talk.hear_line()
    until_closed(talk)


def flood(talk: Talk) -> None:
    """Say the same without end."""
    talk.line = talk.hear_line()
    while True:
        talk.say(b"a" * 65536)


def until_closed(talk: Talk) -> None:
    while talk.sock.recv(65536):
        pass


@dataclass
class FakeAgent:
    """Serves connections, one after another, until its block ends."""

    script: Script
    greeting: bytes = b"OK 1073741824\n"
    talks: list[Talk] = field(default_factory=list)

    def __enter__(self) -> "FakeAgent":
        self._dir = tempfile.TemporaryDirectory(prefix="pyro")  # a test's own is too long for sockets
        self.path = str(Path(self._dir.name) / "v.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # ends accept
        self._thread.join(PATIENCE)
        self._listener.close()
        self._dir.cleanup()
        assert not self._thread.is_alive(), "the client has left a connection open"

    @property
    def heard(self) -> Talk:
        """What came on the one connection that there was."""
        assert len(self.talks) == 1
        return self.talks[0]

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(PATIENCE)
                self._talk(sock)

    def _talk(self, sock: socket.socket) -> None:
        talk = Talk(sock)
        self.talks.append(talk)
        try:
            talk.handshake = talk.hear_line()
            talk.say(self.greeting)
            self.script(talk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has had enough


class StubSocket:
    """The five methods that a socket factory's sockets have to have."""

    def __init__(self, incoming: bytes, connect_error: OSError | None = None) -> None:
        self.incoming = incoming
        self.connect_error = connect_error
        self.sent = b""
        self.address: object = None
        self.timeouts: list[float] = []
        self.closed = False

    def settimeout(self, timeout: float, /) -> None:
        self.timeouts.append(timeout)

    def connect(self, address: tuple[int, int] | str, /) -> None:
        self.address = address
        if self.connect_error is not None:
            raise self.connect_error

    def sendall(self, data: bytes, /) -> None:
        self.sent += data

    def recv(self, size: int, /) -> bytes:
        data, self.incoming = self.incoming[:size], self.incoming[size:]
        return data

    def close(self) -> None:
        self.closed = True
