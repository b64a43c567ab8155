"""The client below the asyncio face. It shares what the other one knows, and no connection."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import copy_context
from typing import Any, TypeVar

from pyro_mcp._api import abort, limits
from pyro_mcp._api.alink import AsyncEndpoint, AsyncStream
from pyro_mcp._api.client import Client, WorkspaceClient, question_of
from pyro_mcp._api.endpoint import Endpoint
from pyro_mcp._api.errors import UnavailableError
from pyro_mcp._api.http1 import QueryValue, segment
from pyro_mcp._api.question import AbsentError, Question, decode, explain

T = TypeVar("T")


async def apart(do: Callable[[], T]) -> T:
    """Do on a thread what reads or writes files of this machine. A cancel ends its connections."""
    ending = abort.Abort()
    context = copy_context()
    context.run(abort.CURRENT.set, ending)
    work = asyncio.get_running_loop().run_in_executor(None, context.run, do)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        ending.cut()
        await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # it is that of the cut
        raise


class AsyncClient:
    """What :class:`Client` is, for asyncio; with any event loop."""

    def __init__(self, base: Client) -> None:
        self.base = base

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, QueryValue] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        op: str = "",
        limit: int = limits.REPLY,
    ) -> dict[str, Any]:
        """Ask the server; see :meth:`Client.call`."""
        return await self.ask(question_of(method, path, query, body, timeout, op, limit))

    async def ask(self, question: Question) -> dict[str, Any]:
        """Put a question to the server."""
        return decode(question, await self._at_server(question, lambda at: at.ask(question, "")))

    async def open(self, question: Question) -> AsyncStream:
        """Put a question to the server whose answer is frames."""
        return await self._at_server(question, lambda at: at.open(question, ""))

    def workspace(self, workspace_id: str) -> "AsyncWorkspaceClient":
        """Return what talks to one workspace."""
        return AsyncWorkspaceClient(self, self.base.workspace(workspace_id))

    async def close(self) -> None:
        """End the connections that nobody uses. The client can be used on."""
        self.base.close()

    async def _at_server(self, question: Question, do: Callable[[AsyncEndpoint], Awaitable[T]]) -> T:
        for last in (False, True):
            endpoint = self.base.server_endpoint()
            if endpoint is None:
                endpoint = await asyncio.to_thread(self.base.start_server)
            try:
                return await do(AsyncEndpoint(endpoint.address))
            except AbsentError as e:  # it was killed a moment ago: nothing was sent
                gone = not last and await asyncio.to_thread(self.base.server_gone, endpoint)
                if not gone:
                    raise explain(question, endpoint.address.name, e) from e
            except UnavailableError as e:
                if e.__cause__ is not None:  # the connection's end may be that of the server
                    raise await asyncio.to_thread(self.base.server_lost, endpoint, e) from e.__cause__
                raise
        raise AssertionError  # the last turn returns or raises

    async def socket_of(self, workspace_id: str) -> Endpoint | None:
        """Return the workspace's own socket, or None where the server is the way to it."""
        if not self.base.knows(workspace_id):
            question = Question("status of workspace", "GET", f"/v1/workspaces/{segment(workspace_id)}")
            self.base.learn(await self.ask(question))
        return self.base.known_socket(workspace_id)


class AsyncWorkspaceClient:
    """A client's way to one workspace; see :class:`WorkspaceClient`."""

    def __init__(self, client: AsyncClient, base: WorkspaceClient) -> None:
        self.client = client
        self.base = base
        self.id = base.id

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, QueryValue] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        op: str = "",
        limit: int = limits.REPLY,
    ) -> dict[str, Any]:
        """Ask the workspace; see :meth:`WorkspaceClient.call`."""
        return await self.ask(question_of(method, path, query, body, timeout, op, limit))

    async def ask(self, question: Question) -> dict[str, Any]:
        """Put a question to the workspace."""
        return decode(question, await self._do(question, lambda at, to: at.ask(question, to)))

    async def open(self, question: Question) -> AsyncStream:
        """Put a question whose answer is frames."""
        return await self._do(question, lambda at, to: at.open(question, to))

    async def _do(self, question: Question, do: Callable[[AsyncEndpoint, str], Awaitable[T]]) -> T:
        endpoint = await self.client.socket_of(self.id)
        if endpoint is not None:
            try:
                return await do(AsyncEndpoint(endpoint.address), "/v1")
            except AbsentError:
                self.client.base.forget(self.id)  # it was stopped, or is elsewhere by now
        prefix = f"/v1/workspaces/{segment(self.id)}"
        return await self.client._at_server(question, lambda at: do(at, prefix))
