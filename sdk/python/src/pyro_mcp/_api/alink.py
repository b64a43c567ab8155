"""Connections to a pyro for asyncio: one request on each, on streams of the event loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from pyro_mcp._api import frames, limits
from pyro_mcp._api.address import Address
from pyro_mcp._api.deadline import deadline
from pyro_mcp._api.errors import PyroError, of_answer
from pyro_mcp._api.http1 import Body, Head, parse_head, request
from pyro_mcp._api.question import FAULTS, AbsentError, Question, explain, too_long, unread

_MUCH = 64 << 10  # bytes that may wait to be sent before somebody waits for them


class AsyncLink:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._reading: asyncio.Task[bytes] | None = None

    async def receive(self) -> bytes:
        """Receive what is there; nothing is the end."""
        if self._reading is None:
            return await self._reader.read(limits.CHUNK)
        reading = self._reading
        data = await asyncio.shield(reading)
        self._reading = None
        return data

    async def send(self, data: bytes) -> None:
        """Send all of data."""
        self._writer.write(data)
        await self._writer.drain()

    async def send_or_receive(self, data: bytes) -> AsyncIterator[bytes]:
        """Send all of data, and yield what comes as long as it is not on its way."""
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() < _MUCH:
            return
        drain = asyncio.ensure_future(self._writer.drain())
        try:
            while not drain.done():
                self._reading = self._reading or asyncio.ensure_future(self._reader.read(limits.CHUNK))
                done, _ = await asyncio.wait({drain, self._reading}, return_when=asyncio.FIRST_COMPLETED)
                if self._reading in done:
                    data = self._reading.result()
                    self._reading = None
                    yield data
                    if not data:
                        return
            drain.result()
        finally:
            drain.cancel()

    def cut(self) -> None:
        """End the connection under whoever waits for it."""
        self._writer.transport.abort()

    def close(self) -> None:
        """End the connection, with whatever it was for."""
        if self._reading is not None:
            self._reading.cancel()
        self.cut()

    async def head(self) -> tuple[Head, bytes]:
        """Read the head of an answer, and return it with what came behind it."""
        data = b""
        while True:
            piece = await self.receive()
            if not piece:
                raise ConnectionResetError("it hung up")
            data += piece
            while found := parse_head(data):
                if found[0].status >= 200 or found[0].status == 101:
                    return found
                data = found[1]

    async def body(self, head: Head, rest: bytes, question: Question) -> bytes:
        """Read the body of an answer, which has a bound."""
        limit = question.limit if head.status < 300 else limits.ERROR
        body = Body(head)
        pieces = [body.feed(rest)]
        size = len(pieces[0])
        while not body.done and size <= limit:
            data = await self.receive()
            if not data:
                body.end()
                break
            pieces.append(body.feed(data))
            size += len(pieces[-1])
        if size > limit:
            raise too_long(question)
        return b"".join(pieces)


async def _connect(address: Address) -> AsyncLink:
    """Connect, or say that nobody listens."""
    try:
        async with deadline(limits.CONNECT):
            reader, writer = await _open(address)
    except OSError as e:
        if getattr(e, "verify_message", None):
            raise
        raise AbsentError(e.strerror or str(e) or "timed out") from e
    return AsyncLink(reader, writer)


async def _open(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.path is not None:
        return await asyncio.open_unix_connection(address.path, limit=limits.CHUNK)
    if not address.tls:
        return await asyncio.open_connection(address.host, address.port, limit=limits.CHUNK)
    from pyro_mcp._api import tls

    return await asyncio.open_connection(address.host, address.port, limit=limits.CHUNK, ssl=tls.context())


class AsyncStream:
    """A connection of frames."""

    def __init__(self, link: AsyncLink, rest: bytes, question: Question, where: str) -> None:
        self._link = link
        self._frames = frames.Parser(rest)
        self._question = question
        self._where = where
        self._feeding: asyncio.Task[None] | None = None
        self._source_error: Exception | None = None
        self.patience: float | None = None

    async def receive(self) -> frames.Frame:
        """Return the next frame, for which the other side has ``patience`` seconds."""
        try:
            while (frame := self._frames.next()) is None:
                async with deadline(self.patience):
                    data = await self._link.receive()
                self._took(data)
        except FAULTS as e:
            if self._source_error is not None:
                raise self._source_error from None
            waited = self._question._replace(within=self.patience or 0)
            raise explain(waited, self._where, e) from e
        return frame

    def _took(self, data: bytes) -> None:
        if not data:
            raise ConnectionResetError("it hung up")
        self._frames.feed(data)

    async def send(self, kind: int, payload: bytes = b"") -> bool:
        """Send a frame. False: the other side takes no more, and has said why or will."""
        try:
            async with deadline(limits.PIECE):
                await self._link.send(frames.encode(kind, payload))
        except OSError:
            return False
        return True

    async def send_reading(self, data: bytes) -> bool:
        """Send bytes of frames, and keep what comes meanwhile for receive."""
        try:
            async for came in self._link.send_or_receive(data):
                self._took(came)
                if self._frames.held > limits.HELD:
                    raise unread(self._question)
        except ConnectionError:
            return False
        except FAULTS as e:
            raise explain(self._question, self._where, e) from e
        return True

    def feed(self, pieces: Iterator[bytes]) -> None:
        """Send pieces, which are bytes of frames, while receive waits."""
        self._feeding = asyncio.ensure_future(self._feed(pieces))

    async def _feed(self, pieces: Iterator[bytes]) -> None:
        while True:
            try:
                piece = next(pieces, b"")
            except Exception as e:
                self._source_error = e  # which whoever receives raises
                self._link.cut()
                return
            if not piece:
                return
            try:
                await self._link.send(piece)
            except OSError:
                return  # whoever receives is told

    async def close(self) -> None:
        """End the connection, and with it what it was for."""
        feeding, self._feeding = self._feeding, None
        self._link.close()
        if feeding is None:
            return
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding


class AsyncEndpoint:
    """A place where a pyro listens."""

    def __init__(self, address: Address) -> None:
        self.address = address

    async def ask(self, question: Question, prefix: str) -> bytes:
        """Put a question and return the answer's body."""
        link = await self._dial(question)
        try:
            async with deadline(question.within):
                head, body = await self._exchange(link, question, prefix)
        except PyroError:  # some of which are OSErrors
            raise
        except FAULTS as e:
            raise explain(question, self.address.name, e) from e
        finally:
            link.close()  # which ends a command that nobody waits for any more
        if head.status >= 300:
            raise of_answer(head.status, body, question.op)
        return body

    async def open(self, question: Question, prefix: str) -> AsyncStream:
        """Put a question whose answer is frames."""
        link = await self._dial(question)
        try:
            async with deadline(question.within):
                head, rest = await self._upgrade(link, question, prefix)
        except BaseException as e:
            link.close()
            if isinstance(e, FAULTS) and not isinstance(e, PyroError):
                raise explain(question, self.address.name, e) from e
            raise
        if head.status == 101:
            return AsyncStream(link, rest, question, self.address.name)
        link.close()
        raise of_answer(head.status, rest, question.op)

    async def _exchange(self, link: AsyncLink, question: Question, prefix: str) -> tuple[Head, bytes]:
        await link.send(self._head(question, prefix, None))
        head, rest = await link.head()
        return head, await link.body(head, rest, question)

    async def _upgrade(self, link: AsyncLink, question: Question, prefix: str) -> tuple[Head, bytes]:
        await link.send(self._head(question, prefix, frames.PROTOCOL))
        head, rest = await link.head()
        return head, rest if head.status == 101 else await link.body(head, rest, question)

    async def _dial(self, question: Question) -> AsyncLink:
        try:
            return await _connect(self.address)
        except OSError as e:  # of TLS
            raise explain(question, self.address.name, e) from e

    def _head(self, question: Question, prefix: str, upgrade: str | None) -> bytes:
        return request(
            question.method,
            question.target(prefix),
            self.address.authority,
            token=self.address.token,
            body=question.body,
            content_type=question.content_type,
            upgrade=upgrade,
        )
