"""A server for coding agents, over the Model Context Protocol: `pyro mcp serve`."""

import os
import signal
import socket
import subprocess
import sys
import threading
from os import PathLike
from types import FrameType
from typing import Any

from pyro_mcp._api.errors import InvalidError, UnavailableError
from pyro_mcp._api.server import find_binary
from pyro_mcp._legacy.manager import VmManager

__all__ = ["McpServer", "create_server"]

PROFILES = ("vm-run", "workspace-core", "workspace-full")
MODES = ("cold-start", "inspect", "repro-fix", "review-eval")

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_ENDED = 0  # among the numbers of signals


class McpServer:
    """A server that has not been started. ``arguments`` are those of `pyro`."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self.arguments = arguments
        self._environment = environment

    def run(self, transport: str = "stdio") -> None:
        """Serve on standard input and output until the input ends or a signal comes.

        Another process does it and has both meanwhile. Signals are passed on to it if this is
        the main thread. If it ends with another status than 0, that of this program is to be
        the same: it is raised as SystemExit.
        """
        if transport != "stdio":
            raise InvalidError(
                f"transport {transport!r} is not known",
                hint="use stdio; `pyro mcp serve --transport http` serves over HTTP",
            )
        environment = {**os.environ, **self._environment}
        command = [find_binary(environment), *self.arguments]
        if sys.stdout is not None:
            sys.stdout.flush()
        with _Signals() as signals:
            try:
                process = subprocess.Popen(command, env=environment)  # noqa: S603 - the user's own program
            except OSError as e:
                raise UnavailableError(f"start pyro: {command[0]}: {e.strerror}") from e
            status = signals.pass_on(process)
        if status:
            raise SystemExit(status if status > 0 else 128 - status)


class _Signals:
    """The signals that come while a process runs."""

    def __enter__(self) -> "_Signals":
        self._news, self._told = socket.socketpair()
        self._told.setblocking(False)
        self._handlers: dict[signal.Signals, Any] = {}
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            # The handlers do nothing. That a signal came, to whatever thread, is written
            # to the socket.
            self._woken = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
            for number in _FORWARDED:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._handlers[number] = signal.signal(number, _nothing)
        return self

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.set_wakeup_fd(self._woken)
        for number, handler in self._handlers.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._news.close()
        self._told.close()

    def pass_on(self, process: "subprocess.Popen[bytes]") -> int:
        """Pass signals on to a process until it ends, and return its status."""

        def wait() -> None:
            process.wait()
            self._told.send(bytes([_ENDED]))

        waiter = threading.Thread(target=wait, daemon=True)
        waiter.start()
        while True:
            for number in self._news.recv(64):
                if number == _ENDED:
                    waiter.join()
                    return process.wait()
                if number in _FORWARDED:
                    process.send_signal(number)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    pass


def create_server(
    manager: VmManager | None = None,
    *,
    profile: str = "workspace-full",
    mode: str | None = None,
    project_path: str | PathLike[str] | None = None,
    repo_url: str | None = None,
    repo_ref: str | None = None,
    no_project_source: bool = False,
) -> McpServer:
    """Return a server for agents, whose ``run()`` serves them on standard input and output.

    A ``profile`` says which tools there are; a ``mode`` takes its place for one job. The
    others say what a workspace begins with that a call gives no seed: see docs/mcp.md.
    """
    if mode is not None and mode not in MODES:
        raise InvalidError(f"mode {mode!r} is not known", hint=f"use one of {', '.join(MODES)}")
    if profile not in PROFILES:
        raise InvalidError(f"profile {profile!r} is not known", hint=f"use one of {', '.join(PROFILES)}")
    if (project_path is not None) + (repo_url is not None) + bool(no_project_source) > 1:
        raise InvalidError("project_path, repo_url and no_project_source do not go together")
    if repo_ref is not None and repo_url is None:
        raise InvalidError("repo_ref needs repo_url")
    arguments = ["mcp", "serve", *(("--mode", mode) if mode else ("--profile", profile))]
    for option, value in (("project-path", project_path), ("repo-url", repo_url), ("repo-ref", repo_ref)):
        if value is not None:
            arguments.append(f"--{option}={os.fspath(value)}")
    if no_project_source:
        arguments.append("--no-project-source")
    return McpServer(arguments, (manager or VmManager()).environment)
