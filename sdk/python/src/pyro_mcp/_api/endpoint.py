"""Places where a pyro listens, for code that waits."""

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Iterable, Iterator

from pyro_mcp._api import frames, limits
from pyro_mcp._api.address import Address
from pyro_mcp._api.errors import PyroError, of_answer
from pyro_mcp._api.http1 import chunk, request
from pyro_mcp._api.link import Link, Stream
from pyro_mcp._api.question import FAULTS, Question, explain

_IDLE = 30.0  # seconds that a connection is kept; the other side keeps it for a minute
_MOST_IDLE = 8


class Held:
    """A connection that is kept because something ends with it, at the latest with this object."""

    def __init__(self, link: Link) -> None:
        self._link = link
        _held.add(self)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._link.close()


_held: "weakref.WeakSet[Held]" = weakref.WeakSet()


def _after_fork() -> None:
    """Leave all of them to the parent alone."""
    for one in list(_held):
        one.close()


os.register_at_fork(after_in_child=_after_fork)


class Endpoint:
    """A place where a pyro listens, with connections that are kept for a while."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle: list[Link] = []
        self._lock = threading.Lock()

    def ask(self, question: Question, prefix: str, chunks: Iterable[bytes] | None = None) -> bytes:
        """Put a question and return the answer's body. ``chunks`` are a long body of its own."""
        end = time.monotonic() + question.within
        with self._linked(question, fresh=chunks is not None) as link:
            _put(link, self._head(question, prefix, chunked=chunks is not None), chunks, end)
            head, rest = link.head(end)
            body = link.body(head, rest, question, end)
            if head.stays and chunks is None:
                self._keep(link)
            else:
                link.close()
        if head.status >= 300:
            raise of_answer(head.status, body, question.op)
        return body

    def hold(self, question: Question, chunks: Iterable[bytes] | None = None) -> tuple[bytes, "Held"]:
        """Put a question whose answer is a line and then goes on, and return both."""
        end = time.monotonic() + question.within
        with self._linked(question, fresh=True) as link:
            _put(link, self._head(question, "", chunked=chunks is not None), chunks, end)
            head, rest = link.head(end)
            if head.status < 300:
                return link.line(head, rest, question, end), Held(link)
            body = link.body(head, rest, question, end)
            link.close()
        raise of_answer(head.status, body, question.op)

    def open(self, question: Question, prefix: str) -> Stream:
        """Put a question whose answer is frames."""
        end = time.monotonic() + question.within
        with self._linked(question, fresh=True) as link:
            link.send(self._head(question, prefix, upgrade=frames.PROTOCOL), end)
            head, rest = link.head(end)
            if head.status == 101:
                return Stream(link, rest, question, self.address.name)
            body = link.body(head, rest, question, end)
            link.close()
        raise of_answer(head.status, body, question.op)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """End the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for link in idle:
            link.close()

    def after_fork(self) -> None:
        """Forget the connections, which are the parent's."""
        self._lock = threading.Lock()
        self.close()  # of this process alone

    @contextlib.contextmanager
    def _linked(self, question: Question, *, fresh: bool) -> Iterator[Link]:
        """Give a connection, which an error ends. What the transport fails with is explained."""
        link = (None if fresh else self._kept()) or self._dial(question)
        try:
            yield link
        except PyroError:  # some of which are OSErrors
            link.close()
            raise
        except FAULTS as e:
            link.close()
            raise explain(question, self.address.name, e) from e
        except BaseException:  # the caller's interrupt, above all: it ends a command
            link.close()
            raise

    def _dial(self, question: Question) -> Link:
        try:
            return Link(self.address)
        except OSError as e:  # of TLS
            raise explain(question, self.address.name, e) from e

    def _head(
        self, question: Question, prefix: str, *, chunked: bool = False, upgrade: str | None = None
    ) -> bytes:
        return request(
            question.method,
            question.target(prefix),
            self.address.authority,
            token=self.address.token,
            body=question.body,
            content_type=question.content_type,
            chunked=chunked,
            upgrade=upgrade,
        )

    def _kept(self) -> Link | None:
        """Return a connection that is kept and that nobody has ended meanwhile."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                link = self._idle.pop()
            if time.monotonic() - link.idle_since < _IDLE and not link.ready(0)[0]:
                return link
            link.close()

    def _keep(self, link: Link) -> None:
        link.idle_since = time.monotonic()
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(link)
                return
        link.close()


def _put(link: Link, head: bytes, chunks: Iterable[bytes] | None, end: float) -> None:
    """Send a request. An answer that comes before its end ends the sending."""
    link.send(head, end)
    if chunks is None:
        return
    try:
        for data in chunks:
            if link.answered():
                return
            if data:
                link.send(chunk(data), min(end, time.monotonic() + limits.PIECE))
        link.send(chunk(b""), end)
    except ConnectionError:
        pass  # the answer says why, if there is one
