# Made by tools/python-faces.py of aio/_live.py. Change that one.
"""What goes on living in a workspace: shells and services."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType

from pyro_mcp._api import frames, limits, words
from pyro_mcp._api.errors import NotFoundError
from pyro_mcp._api.face_sync import ApiWorkspace, opening
from pyro_mcp._api.http1 import segment
from pyro_mcp._api.question import Question
from pyro_mcp._models.live import (
    ServiceError,
    ServiceInfo,
    ServiceList,
    ServiceLogs,
    ShellClose,
    ShellInfo,
    ShellList,
    ShellRead,
    ShellSignal,
    ShellWrite,
)
from pyro_mcp._sync._ask import Query, ask
from pyro_mcp._sync._process import STDERR, STDOUT, Output, Terminal, pour

_RESTART = 86_400.0  # as long as it was given to become ready


class Shell:
    """An interactive shell on a terminal. Leaving its ``with`` block closes it.

    ``info`` is the shell as it was last told. Cursors count code points.
    """

    def __init__(self, at: ApiWorkspace, info: ShellInfo) -> None:
        self.info = info
        self._at = at
        self._cursor = 0

    def __enter__(self) -> "Shell":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(NotFoundError):  # it was closed before
            self.close()

    @property
    def id(self) -> str:
        """The shell's id."""
        return self.info.shell_id

    def status(self) -> ShellInfo:
        """Return the shell as it is now."""
        self.info = ask(ShellInfo, self._at, "status of shell", f"GET {self._path()}")
        return self.info

    def write(self, text: str, *, newline: bool = True) -> ShellWrite:
        """Type a text, and by default the end of a line."""
        body = {"input": text, "append_newline": newline}
        return ask(ShellWrite, self._at, "write to shell", f"POST {self._path('/input')}", body=body)

    def read(
        self,
        *,
        cursor: int | None = None,
        max_chars: int = 65536,
        plain: bool = False,
        wait_for_idle: float | None = None,
    ) -> ShellRead:
        """Return what was printed since the cursor; without one, since the last read of this object.

        ``plain`` is as a terminal would show it. With ``wait_for_idle``, at most 10, the answer
        comes when nothing was printed for so many seconds.
        """
        idle = None if wait_for_idle is None else math.ceil(wait_for_idle * 1000)
        start = self._cursor if cursor is None else cursor
        query: Query = {"cursor": start, "max_chars": max_chars, "plain": plain, "wait_for_idle_ms": idle}
        within = limits.ANSWER if idle is None else limits.TREE  # one that never rests keeps it
        read = ask(
            ShellRead,
            self._at,
            "read shell",
            f"GET {self._path('/output')}",
            query=query,
            within=within,
            limit=limits.SHELL_REPLY,
        )
        self._cursor = read.next_cursor
        return read

    def signal(self, name: str = "INT") -> ShellSignal:
        """Send HUP, INT, TERM or KILL to what runs in the foreground."""
        body = {"signal": words.signal_name(name)}
        return ask(ShellSignal, self._at, "signal shell", f"POST {self._path('/signal')}", body=body)

    def resize(self, cols: int, rows: int) -> ShellInfo:
        """Change the size of the terminal."""
        body = {"cols": cols, "rows": rows}
        self.info = ask(ShellInfo, self._at, "resize shell", f"POST {self._path('/resize')}", body=body)
        return self.info

    def attach(self, *, cursor: int = -1, size: tuple[int, int] | None = None) -> Terminal:
        """Join a terminal with the shell: what is printed from the cursor on (-1: from now on)."""
        return opening(self._attach(cursor, size))

    def _attach(self, cursor: int, size: tuple[int, int] | None) -> Terminal:
        body = words.json_bytes({"cursor": cursor, **(words.size_fields(size) or {})})
        question = Question("attach to shell", "POST", self._path("/attach"), body=body)
        return Terminal(self._at.open(question))

    def close(self) -> ShellClose:
        """End the shell and all that it started, and forget it."""
        return ask(ShellClose, self._at, "close shell", f"DELETE {self._path()}")

    def _path(self, below: str = "") -> str:
        return f"/shells/{segment(self.info.shell_id)}{below}"


class Shells:
    """The shells of a workspace."""

    def __init__(self, at: ApiWorkspace) -> None:
        self._at = at

    def list(self) -> tuple[ShellInfo, ...]:
        """Return the shells, the oldest first, those that have ended and were not closed included."""
        return (ask(ShellList, self._at, "list shells", "GET /shells")).shells

    def get(self, shell_id: str) -> Shell:
        """Return a shell that is there."""
        found = ask(ShellInfo, self._at, "status of shell", f"GET /shells/{segment(shell_id)}")
        return Shell(self._at, found)

    def open(
        self,
        *,
        cwd: str | None = None,
        cols: int = 120,
        rows: int = 30,
        secret_env: Mapping[str, str] | None = None,
    ) -> Shell:
        """Start a shell."""
        body = {"cwd": cwd, "cols": cols, "rows": rows, "secret_env": secret_env and dict(secret_env)}
        return Shell(self._at, ask(ShellInfo, self._at, "open shell", "POST /shells", body=body))


class Service:
    """A program that outlives the call that started it. Leaving its ``with`` block stops it.

    ``info`` is the service as it was last told. That it failed to become ready is no error:
    look at ``info.state``, or call :meth:`check`.
    """

    def __init__(self, at: ApiWorkspace, info: ServiceInfo) -> None:
        self.info = info
        self._at = at

    def __enter__(self) -> "Service":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(NotFoundError):  # it is gone with a reset
            self.stop()

    @property
    def name(self) -> str:
        """The service's name."""
        return self.info.service_name

    def check(self) -> "Service":
        """Return the service, or raise a ServiceError unless it was running when last told."""
        if self.info.state != "running":
            raise ServiceError(self.info)
        return self

    def status(self) -> ServiceInfo:
        """Return the service as it is now."""
        self.info = ask(ServiceInfo, self._at, "status of service", f"GET {self._path()}")
        return self.info

    def logs(self, lines: int | None = 200) -> ServiceLogs:
        """Return the last lines of each stream; None is all that is kept."""
        return ask(
            ServiceLogs,
            self._at,
            "logs of service",
            f"GET {self._path('/logs')}",
            query={"tail_lines": lines or 0},
            within=limits.LOGS,
            limit=limits.SERVICE_REPLY,
        )

    def follow(self, lines: int | None = 200) -> Iterator[Output]:
        """Yield the last lines and then what is printed, until the service has ended."""
        question = Question("follow service", "POST", self._path("/logs/follow"), {"tail_lines": lines or 0})
        for kind, data in pour(self._at.open(question), question.op):
            if kind == frames.EXIT:
                self.info = ServiceInfo.of(data)
            else:
                yield Output(STDOUT if kind == frames.STDOUT else STDERR, data)

    def stop(self) -> ServiceInfo:
        """End it and all that it started: TERM, and KILL after five seconds."""
        self.info = ask(
            ServiceInfo, self._at, "stop service", f"POST {self._path('/stop')}", within=limits.SERVICE
        )
        return self.info

    def restart(self) -> ServiceInfo:
        """Stop it and start it as it was started before."""
        self.info = ask(
            ServiceInfo, self._at, "restart service", f"POST {self._path('/restart')}", within=_RESTART
        )
        return self.info

    def _path(self, below: str = "") -> str:
        return f"/services/{segment(self.info.service_name)}{below}"


class Services:
    """The services of a workspace."""

    def __init__(self, at: ApiWorkspace) -> None:
        self._at = at

    def list(self) -> tuple[ServiceInfo, ...]:
        """Return the services by name."""
        found = ask(ServiceList, self._at, "list services", "GET /services", limit=limits.SHELL_REPLY)
        return found.services

    def get(self, name: str) -> Service:
        """Return a service that is there."""
        found = ask(ServiceInfo, self._at, "status of service", f"GET /services/{segment(name)}")
        return Service(self._at, found)

    def start(
        self,
        name: str,
        command: words.Command,
        *,
        cwd: str | None = None,
        ready: Mapping[str, str] | None = None,
        ready_timeout: float = 30,
        ready_interval_ms: int = 500,
        restart: str | None = None,
        publish: Iterable[int | tuple[int, int]] = (),
        secret_env: Mapping[str, str] | None = None,
    ) -> Service:
        """Start a service, and return when it is ready or has failed.

        ``ready`` is what it is ready by: {"tcp": "127.0.0.1:80"}, {"http": URL}, {"file": PATH}
        or {"command": LINE}. ``restart`` is on-failure or on-failure:N. ``publish`` names ports of
        the guest, or (port here, port of the guest).
        """
        body: dict[str, object] = {
            "service_name": name,
            **words.command_fields(command),
            "cwd": cwd,
            "readiness": words.readiness_fields(ready),
            "ready_timeout_seconds": words.needed_seconds("ready_timeout", ready_timeout),
            "ready_interval_ms": ready_interval_ms,
            "restart": restart,
            "publish": words.publish_fields(publish),
            "secret_env": secret_env and dict(secret_env),
        }
        within = ready_timeout + limits.SERVICE
        return Service(
            self._at,
            ask(ServiceInfo, self._at, "start service", "POST /services", body=body, within=within),
        )
