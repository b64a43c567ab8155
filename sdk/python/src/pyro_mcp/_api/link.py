"""Connections to a pyro for code that waits: one request at a time on each."""

import contextlib
import select
import socket
import time
from collections.abc import Iterator

from pyro_mcp._api import abort, frames, limits
from pyro_mcp._api.address import Address
from pyro_mcp._api.http1 import Body, Head, parse_head
from pyro_mcp._api.question import FAULTS, AbsentError, Question, explain, too_long, unread

_SLACK = 1.0  # a timeout is not set anew for less
_LONG = 365 * 86_400.0


class Link:
    """A connection with deadlines, which are moments of :func:`time.monotonic`."""

    def __init__(self, address: Address) -> None:
        self.idle_since = 0.0
        self._sock = _connect(address)
        self._armed = -_LONG
        self._early = b""  # what came while something was sent
        if (ending := abort.CURRENT.get()) is not None:
            ending.add(self)

    def send(self, data: bytes, end: float) -> None:
        """Send all of data."""
        self._pace(end)
        self._sock.sendall(data)

    def receive(self, end: float) -> bytes:
        """Receive what is there; nothing is the end."""
        if self._early:
            early, self._early = self._early, b""
            return early
        self._pace(end)
        return self._sock.recv(limits.CHUNK)

    def receive_some(self) -> bytes | None:
        """Receive what is there at once, or None. With TLS there may be something that is no data."""
        self._arm(0)
        try:
            return self._sock.recv(limits.CHUNK)
        except OSError as e:
            if _would_block(e):
                return None
            raise

    def answered(self) -> bool:
        """Report whether something has come, or the end."""
        if not self.ready(0)[0]:
            return False
        early = self.receive_some()
        self._early = early or b""
        return early is not None

    def ready(self, seconds: float, *, writing: bool = False) -> tuple[bool, bool]:
        """Wait until something has come or the connection has ended, or one can write."""
        pending = getattr(self._sock, "pending", None)  # what TLS has read ahead
        if pending is not None and pending():
            return True, False
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | (select.POLLOUT if writing else 0))
        events = sum(event for _, event in poll.poll(seconds * 1000))
        return bool(events & ~select.POLLOUT), bool(events & select.POLLOUT)

    def send_some(self, data: memoryview) -> int:
        """Send as much as goes at once."""
        self._arm(0)
        try:
            return self._sock.send(data)
        except OSError as e:
            if _would_block(e):
                return 0
            raise

    def close(self) -> None:
        """End the connection, with whatever it was for."""
        self._sock.close()

    def cut(self) -> None:
        """End the connection under whoever waits for it on another thread."""
        with contextlib.suppress(OSError):  # it may have ended already
            self._sock.shutdown(socket.SHUT_RDWR)

    def head(self, end: float) -> tuple[Head, bytes]:
        """Read the head of an answer, and return it with what came behind it."""
        data = b""
        while True:
            piece = self.receive(end)
            if not piece:
                raise ConnectionResetError("it hung up")
            data += piece
            while found := parse_head(data):
                if found[0].status >= 200 or found[0].status == 101:
                    return found
                data = found[1]  # behind one of those that only say to go on

    def body(self, head: Head, rest: bytes, question: Question, end: float) -> bytes:
        """Read the body of an answer, which has a bound."""
        limit = question.limit if head.status < 300 else limits.ERROR
        body = Body(head)
        pieces = [body.feed(rest)]
        size = len(pieces[0])
        while not body.done and size <= limit:
            data = self.receive(end)
            if not data:
                body.end()
                break
            pieces.append(body.feed(data))
            size += len(pieces[-1])
        if size > limit:
            raise too_long(question)
        return b"".join(pieces)

    def line(self, head: Head, rest: bytes, question: Question, end: float) -> bytes:
        """Read the first line of a body that has no end yet."""
        body = Body(head)
        data = body.feed(rest)
        while b"\n" not in data and not body.done:
            if len(data) > question.limit:
                raise too_long(question)
            came = self.receive(end)
            if not came:
                body.end()
                break
            data += body.feed(came)
        return data.partition(b"\n")[0]

    def _pace(self, end: float) -> None:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if left < _SLACK or abs(left - self._armed) > _SLACK:
            self._arm(left)

    def _arm(self, seconds: float) -> None:
        self._sock.settimeout(seconds)
        self._armed = seconds


def _connect(address: Address) -> socket.socket:
    """Connect, or say that nobody listens."""
    try:
        if address.path is None:
            sock = socket.create_connection((address.host, address.port), timeout=limits.CONNECT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            sock = _connect_unix(address.path)
    except OSError as e:
        raise AbsentError(e.strerror or str(e) or "timed out") from e
    if not address.tls:
        return sock
    try:
        from pyro_mcp._api import tls

        return tls.context().wrap_socket(sock, server_hostname=address.host)
    except BaseException:
        sock.close()
        raise


def _would_block(error: OSError) -> bool:
    """Report whether an error only says to wait; those of ssl have classes of their own."""
    return isinstance(error, BlockingIOError) or type(error).__name__ in (
        "SSLWantReadError",
        "SSLWantWriteError",
    )


def _connect_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(limits.CONNECT)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


class Stream:
    """A connection of frames. It is for one thread at a time, but for cut and send."""

    def __init__(self, link: Link, rest: bytes, question: Question, where: str) -> None:
        self._link = link
        self._frames = frames.Parser(rest)
        self._question = question
        self._where = where
        self._pieces: Iterator[bytes] | None = None
        self._source_error: Exception | None = None
        self._piece = memoryview(b"")
        self.patience: float | None = None

    def receive(self) -> frames.Frame:
        """Return the next frame, for which the other side has ``patience`` seconds."""
        end = time.monotonic() + (_LONG if self.patience is None else self.patience)
        try:
            while (frame := self._frames.next()) is None:
                if self._pieces is None:
                    self._fill(end)
                else:
                    self._fill_or_feed(end)
        except FAULTS as e:
            if self._source_error is not None:
                raise self._source_error from None
            waited = self._question._replace(within=self.patience or 0)
            raise explain(waited, self._where, e) from e
        return frame

    def _fill(self, end: float) -> None:
        self._took(self._link.receive(end))

    def _took(self, data: bytes | None) -> None:
        if data == b"":
            raise ConnectionResetError("it hung up")
        self._frames.feed(data or b"")

    def send(self, kind: int, payload: bytes = b"") -> bool:
        """Send a frame. False: the other side takes no more, and has said why or will."""
        try:
            self._link.send(frames.encode(kind, payload), time.monotonic() + limits.PIECE)
        except OSError:
            return False
        return True

    def send_reading(self, data: bytes) -> bool:
        """Send bytes of frames, and keep what comes meanwhile for receive."""
        left = memoryview(data)
        end = time.monotonic() + limits.PIECE
        try:
            while left:
                if time.monotonic() > end:
                    raise TimeoutError("timed out")
                can_read, can_write = self._link.ready(limits.PIECE, writing=True)
                if can_read:
                    self._took(self._link.receive_some())
                if self._frames.held > limits.HELD:
                    raise unread(self._question)
                if can_write and (sent := self._link.send_some(left)):
                    left = left[sent:]
                    end = time.monotonic() + limits.PIECE
        except (ConnectionError, BrokenPipeError):
            return False
        except FAULTS as e:
            raise explain(self._question, self._where, e) from e
        return True

    def feed(self, pieces: Iterator[bytes]) -> None:
        """Send pieces, which are bytes of frames, while receive waits."""
        self._pieces = pieces

    def _fill_or_feed(self, end: float) -> None:
        """Wait until one can receive or send, and do that."""
        if not self._piece and self._pieces is not None:
            try:
                self._piece = memoryview(next(self._pieces, b""))
            except Exception as e:
                self._source_error = e
                raise
            if not self._piece:
                self._pieces = None
                return
        can_read, can_write = self._link.ready(max(0.0, end - time.monotonic()), writing=True)
        if can_read:
            self._took(self._link.receive_some())
        elif not can_write:
            raise TimeoutError("timed out")
        else:
            try:
                self._piece = self._piece[self._link.send_some(self._piece) :]
            except ConnectionError:
                self._pieces = None  # what comes says why

    def close(self) -> None:
        """End the connection, and with it what it was for."""
        self._link.close()

    def cut(self) -> None:
        """End the connection under whoever waits for it on another thread."""
        self._link.cut()
