"""The client below both faces: a question goes to a server, or right to a workspace."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pyro_mcp._api import address, limits, server
from pyro_mcp._api.endpoint import Endpoint, Held
from pyro_mcp._api.errors import UnavailableError
from pyro_mcp._api.http1 import QueryValue, segment
from pyro_mcp._api.link import Stream
from pyro_mcp._api.question import AbsentError, Question, decode, encode, explain

T = TypeVar("T")

_MAX_KNOWN = 1024  # workspaces whose sockets are remembered


def question_of(  # noqa: PLR0917 - it is that of call
    method: str,
    path: str,
    query: dict[str, QueryValue] | None,
    body: Mapping[str, Any] | None,
    timeout: float | None,
    op: str,
    limit: int,
) -> Question:
    """Return the question of a call."""
    within = limits.ANSWER if timeout is None else timeout
    return Question(op or f"{method} {path}", method, path, query, encode(body), within=within, limit=limit)


class Client:
    """A pyro: the one at ``url`` or PYRO_URL, else one that this program starts for itself.

    ``environment`` has variables for the latter, such as PYRO_STATE_DIR. It can be used by
    several threads, and after a fork.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url
        self._token = token
        self._environment = dict(environment or {})
        self._fixed: Endpoint | None = None
        self._server: server.Server | None = None
        if url is not None:
            self._way()
        self._sockets: dict[str, Endpoint | None] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()

    def _way(self) -> tuple[Endpoint | None, "server.Server | None"]:
        """Find out where to ask, when it is first needed: the environment may still be set."""
        if self._fixed is None and self._server is None:
            known = {**os.environ, **self._environment}
            if self._url is None:
                at = address.from_environment(known)
            else:
                at = address.parse(self._url, self._token or address.token_of(known))
            if at is None:
                self._server = server.private(self._environment)
            else:
                self._fixed = Endpoint(at)
        return self._fixed, self._server

    @property
    def base(self) -> "Client":
        """The one without asyncio, which is this."""
        return self

    @property
    def local(self) -> bool:
        """Whether the paths that it tells are those of this machine."""
        fixed, _ = self._way()
        return fixed is None or fixed.address.path is not None

    def call(
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
        """Ask the server for a path such as /v1/workspaces and return the answer's JSON.

        What is None in query and body is left out. ``timeout`` is in seconds. An error is one
        of :mod:`pyro_mcp._api.errors`.
        """
        return self.ask(question_of(method, path, query, body, timeout, op, limit))

    def ask(self, question: Question, chunks: Callable[[], Iterable[bytes]] | None = None) -> dict[str, Any]:
        """Put a question to the server. ``chunks`` makes a long body of it."""
        data = self._at_server(question, lambda at: at.ask(question, "", chunks() if chunks else None))
        return decode(question, data)

    def hold(
        self, question: Question, chunks: Callable[[], Iterable[bytes]] | None = None
    ) -> tuple[dict[str, Any], Held]:
        """Put a question to the server whose answer goes on, with what it is about."""
        data, held = self._at_server(question, lambda at: at.hold(question, chunks() if chunks else None))
        return decode(question, data), held

    def open(self, question: Question) -> Stream:
        """Put a question to the server whose answer is frames."""
        return self._at_server(question, lambda at: at.open(question, ""))

    def workspace(self, workspace_id: str) -> "WorkspaceClient":
        """Return what talks to one workspace, on its own socket where that can be."""
        return WorkspaceClient(self, workspace_id)

    def close(self) -> None:
        """End the connections that nobody uses. The client can be used on."""
        with self._lock:
            sockets, self._sockets = self._sockets, {}
        for one in [self._fixed, *sockets.values()]:
            if one is not None:
                one.close()

    def server_endpoint(self) -> Endpoint | None:
        """Return the way to the server, or None where one has to be started first."""
        self._check_fork()
        fixed, private = self._way()
        return fixed or (private.running() if private else None)

    def start_server(self) -> Endpoint:
        """Return the way to the server, which is started unless it runs."""
        self._check_fork()
        fixed, private = self._way()
        if fixed is not None or private is None:
            assert fixed is not None  # noqa: S101 - there is one or the other
            return fixed
        return private.endpoint()

    def server_gone(self, endpoint: Endpoint) -> bool:
        """Note that nobody listens there. True: another server can be started."""
        _, private = self._way()
        return private is not None and private.failed(endpoint)

    def server_lost(self, endpoint: Endpoint, error: UnavailableError) -> UnavailableError:
        """Note that a connection has ended. The error says what a server that has gone said last."""
        said = self._server.last_words if self.server_gone(endpoint) and self._server else ""
        return UnavailableError(f"{error}: {said}", hint=error.hint, op=error.op) if said else error

    def _at_server(self, question: Question, do: Callable[[Endpoint], T]) -> T:
        for last in (False, True):
            endpoint = self.server_endpoint() or self.start_server()
            try:
                return do(endpoint)
            except AbsentError as e:  # it was killed a moment ago: nothing was sent
                if last or not self.server_gone(endpoint):
                    raise explain(question, endpoint.address.name, e) from e
            except UnavailableError as e:
                if e.__cause__ is not None:  # the connection's end may be that of the server
                    raise self.server_lost(endpoint, e) from e.__cause__
                raise
        raise AssertionError  # the last turn returns or raises

    def _check_fork(self) -> None:
        """Forget connections that are those of another process."""
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        self._lock = threading.Lock()
        sockets, self._sockets = self._sockets, {}
        for one in [self._fixed, *sockets.values()]:
            if one is not None:
                one.after_fork()

    def learn(self, info: Mapping[str, Any]) -> None:
        """Note the socket of a workspace that an answer tells."""
        workspace_id, path = info.get("workspace_id"), info.get("control_socket")
        if not self.local or not isinstance(workspace_id, str):
            return
        ours = isinstance(path, str) and _is_ours(path)
        with self._lock:
            known = self._sockets.get(workspace_id)
            if ours and known is not None and known.address.path == path:
                return
            gone = [self._sockets.pop(workspace_id, None)]
            if len(self._sockets) >= _MAX_KNOWN:
                gone.append(self._sockets.pop(next(iter(self._sockets))))
            self._sockets[workspace_id] = Endpoint(address.Address(path=path)) if ours else None
        for endpoint in gone:
            if endpoint is not None:
                endpoint.close()

    def forget(self, workspace_id: str) -> None:
        """Ask again where a workspace listens when it is next needed."""
        with self._lock:
            gone = self._sockets.pop(workspace_id, None)
        if gone is not None:
            gone.close()

    def socket_of(self, workspace_id: str) -> Endpoint | None:
        """Return the workspace's own socket, or None where the server is the way to it."""
        if not self.knows(workspace_id):
            question = Question("status of workspace", "GET", f"/v1/workspaces/{segment(workspace_id)}")
            self.learn(self.ask(question))
        return self.known_socket(workspace_id)

    def knows(self, workspace_id: str) -> bool:
        """Report whether it is known where the workspace listens."""
        self._check_fork()
        return not self.local or workspace_id in self._sockets

    def known_socket(self, workspace_id: str) -> Endpoint | None:
        """Return the workspace's own socket as it was last told."""
        with self._lock:
            return self._sockets.get(workspace_id)


class WorkspaceClient:
    """A client's way to one workspace. Paths are those below /v1/workspaces/{id}."""

    def __init__(self, client: Client, workspace_id: str) -> None:
        self.client = client
        self.id = workspace_id

    @property
    def base(self) -> "WorkspaceClient":
        """The one without asyncio, which is this."""
        return self

    def call(
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
        """Ask for a path such as /exec, as :meth:`Client.call` does.

        It is for what the workspace itself answers. Its status, start, stop, reset, fork, update
        and delete, and the deletion of snapshots, are the server's to do.
        """
        return self.ask(question_of(method, path, query, body, timeout, op, limit))

    def ask(self, question: Question, chunks: Callable[[], Iterable[bytes]] | None = None) -> dict[str, Any]:
        """Put a question to the workspace. ``chunks`` makes a long body of it."""
        data = self._do(question, lambda at, to: at.ask(question, to, chunks() if chunks else None))
        return decode(question, data)

    def open(self, question: Question) -> Stream:
        """Put a question whose answer is frames."""
        return self._do(question, lambda at, to: at.open(question, to))

    def tell(self, event: dict[str, Any]) -> None:
        """Note in the workspace's log what was done with what came out of it, if that can be."""
        with contextlib.suppress(Exception):
            if endpoint := self.client.socket_of(self.id):
                endpoint.ask(Question("note event", "POST", "/events", body=encode(event)), "/v1")

    def _do(self, question: Question, do: Callable[[Endpoint, str], T]) -> T:
        endpoint = self.client.socket_of(self.id)
        if endpoint is not None:
            try:
                return do(endpoint, "/v1")
            except AbsentError:
                self.client.forget(self.id)  # it was stopped, or is elsewhere by now
        prefix = f"/v1/workspaces/{segment(self.id)}"
        return self.client._at_server(question, lambda at: do(at, prefix))


def _is_ours(path: str) -> bool:
    """Report whether a socket is there that this user or root made."""
    try:
        return os.stat(path).st_uid in (os.geteuid(), 0)  # noqa: PTH116 - it is called often
    except (OSError, ValueError):
        return False
