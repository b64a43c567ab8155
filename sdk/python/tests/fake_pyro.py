"""A small HTTP server on a unix socket that answers as a test says."""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pyro_mcp._api import frames

PATIENCE = 20.0


@dataclass
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    peer: "Peer" = field(repr=False)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Peer:
    """The server's end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.rest = b""

    def more(self) -> bytes:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        return data

    def line(self) -> bytes:
        while b"\r\n" not in self.rest:
            self.rest += self.more()
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def exactly(self, size: int) -> bytes:
        while len(self.rest) < size:
            self.rest += self.more()
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def request(self) -> Asked:
        method, target, _ = self.line().decode().split(" ")
        headers: dict[str, str] = {}
        while line := self.line():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        return Asked(method, target, headers, self.body(headers), self)

    def body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return self.exactly(int(headers.get("content-length", "0")))
        body = b""
        while size := int(self.line(), 16):
            body += self.exactly(size)
            self.line()
        self.line()
        return body

    def frame(self) -> frames.Frame:
        parser = frames.Parser(self.rest)
        while (frame := parser.next()) is None:
            data = self.more()
            self.rest += data
            parser.feed(data)
        self.rest = self.rest[5 + len(frame.payload) :]
        return frame


Answer = Callable[[Asked], bytes | None]


def answer(body: bytes, status: int = 200, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} -", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: pyro-frames/1\r\n\r\n"


class FakePyro:
    """Answers each request by ``handle``; None there ends the connection."""

    def __init__(self, path: Path, handle: Answer) -> None:
        self.path = path
        self.url = f"unix://{path}"
        self.asked: list[Asked] = []
        self.connections = 0
        self._handle = handle
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> "FakePyro":
        self._listener.bind(str(self.path))
        self._listener.listen(256)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """Be gone, as a killed process is."""
        self.path.unlink(missing_ok=True)
        for sock in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._thread.join(PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        peer = Peer(sock)
        try:
            while True:
                asked = peer.request()
                self.asked.append(asked)
                reply = self._handle(asked)
                if reply is None:
                    break
                sock.sendall(reply)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            sock.close()


def fixed(reply: bytes) -> Answer:
    return lambda _: reply


def by_path(replies: dict[str, bytes]) -> Answer:
    missing: Any = answer(b'{"ok":false,"error":"no such thing","kind":"not_found","hint":"look"}', 404)
    return lambda asked: replies.get(f"{asked.method} {asked.path}", missing)
