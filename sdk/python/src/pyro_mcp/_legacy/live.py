"""What goes on between two calls: shells and services."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyro_mcp._api import limits
from pyro_mcp._api.http1 import QueryValue, segment
from pyro_mcp._legacy import checks
from pyro_mcp._legacy.face import JSON, Face

_IDLE = 3600.0  # seconds that a shell may go on printing while its silence is waited for


class Shells(Face):
    """Shells on terminals of their own."""

    def open_shell(
        self,
        workspace_id: str,
        *,
        cwd: str = "/workspace",
        cols: int = 120,
        rows: int = 30,
        secret_env: Mapping[str, str] | None = None,
    ) -> JSON:
        """Open a shell."""
        wanted = {
            "cwd": checks.text("cwd", cwd),
            "cols": checks.positive("cols", cols),
            "rows": checks.positive("rows", rows),
            "secret_env": checks.texts("secret_env", secret_env),
        }
        return self._inside("open shell", workspace_id, "POST", "/shells", body=wanted, within=limits.FILE)

    def read_shell(
        self,
        workspace_id: str,
        shell_id: str,
        *,
        cursor: int = 0,
        max_chars: int = 65536,
        plain: bool = False,
        wait_for_idle_ms: int | None = None,
    ) -> JSON:
        """Read what a shell has printed since a cursor."""
        query: dict[str, QueryValue] = {
            "cursor": checks.natural("cursor", cursor),
            "max_chars": checks.positive("max_chars", max_chars),
            "plain": bool(plain),
            "wait_for_idle_ms": wait_for_idle_ms,
        }
        return self._inside(
            "read shell",
            workspace_id,
            "GET",
            _shell(shell_id, "/output"),
            query=query,
            within=limits.ANSWER if wait_for_idle_ms is None else _IDLE,
            limit=limits.SHELL_REPLY,
        )

    def write_shell(
        self,
        workspace_id: str,
        shell_id: str,
        *,
        input: str,  # noqa: A002 - it has that name
        append_newline: bool = True,
    ) -> JSON:
        """Type into a shell."""
        wanted = {"input": input, "append_newline": bool(append_newline)}
        path = _shell(shell_id, "/input")
        return self._inside("write shell", workspace_id, "POST", path, body=wanted, within=limits.FILE)

    def signal_shell(self, workspace_id: str, shell_id: str, *, signal_name: str = "INT") -> JSON:
        """Send HUP, INT, TERM or KILL to what runs in the foreground of a shell."""
        wanted = {"signal": checks.text("signal_name", signal_name).strip().upper()}
        path = _shell(shell_id, "/signal")
        return self._inside("signal shell", workspace_id, "POST", path, body=wanted)

    def close_shell(self, workspace_id: str, shell_id: str) -> JSON:
        """End a shell and forget it."""
        return self._inside(
            "close shell", workspace_id, "DELETE", _shell(shell_id, ""), within=limits.SERVICE
        )


class Services(Face):
    """Programs that go on."""

    def start_service(
        self,
        workspace_id: str,
        service_name: str,
        *,
        command: str,
        cwd: str = "/workspace",
        readiness: Mapping[str, str] | None = None,
        ready_timeout_seconds: int = 30,
        ready_interval_ms: int = 500,
        secret_env: Mapping[str, str] | None = None,
        published_ports: Sequence[Mapping[str, Any]] | None = None,
    ) -> JSON:
        """Start a program and wait until it is ready.

        One that fails is a result, whose ``state`` is ``failed``. ``readiness`` is one of
        ``{"type": "file", "path": …}``, ``{"type": "tcp", "address": …}``, ``{"type": "http",
        "url": …}`` and ``{"type": "command", "command": …}``. Each of the published ports has
        ``guest_port``, and ``host_port`` or none for any free one.
        """
        wanted = {
            "service_name": checks.text("service name", service_name).strip(),
            "command": checks.text("command", command),
            "cwd": checks.text("cwd", cwd),
            "readiness": checks.texts("readiness", readiness),
            "ready_timeout_seconds": checks.positive("ready_timeout_seconds", ready_timeout_seconds),
            "ready_interval_ms": checks.positive("ready_interval_ms", ready_interval_ms),
            "secret_env": checks.texts("secret_env", secret_env),
            "publish": checks.ports(published_ports),
        }
        within = ready_timeout_seconds + limits.SERVICE
        return self._inside(
            "start service",
            workspace_id,
            "POST",
            "/services",
            body=wanted,
            within=within,
            limit=limits.SERVICE_REPLY,
        )

    def list_services(self, workspace_id: str) -> JSON:
        """List services by name."""
        return self._inside("list services", workspace_id, "GET", "/services", limit=limits.SERVICE_REPLY)

    def status_service(self, workspace_id: str, service_name: str) -> JSON:
        """Return a service as it is."""
        path = _service(service_name, "")
        return self._inside("status of service", workspace_id, "GET", path, limit=limits.SERVICE_REPLY)

    def logs_service(
        self,
        workspace_id: str,
        service_name: str,
        *,
        tail_lines: int | None = 200,
        all: bool = False,  # noqa: A002 - it has that name
    ) -> JSON:
        """Read the last lines of each stream of a service, or all that is kept."""
        whole = all or tail_lines is None
        return self._inside(
            "logs of service",
            workspace_id,
            "GET",
            _service(service_name, "/logs"),
            query={"tail_lines": 0 if whole else checks.positive("tail_lines", tail_lines)},
            within=limits.LOGS,
            limit=limits.SERVICE_REPLY,
        )

    def stop_service(self, workspace_id: str, service_name: str) -> JSON:
        """End a service."""
        return self._inside(
            "stop service",
            workspace_id,
            "POST",
            _service(service_name, "/stop"),
            within=limits.SERVICE,
            limit=limits.SERVICE_REPLY,
        )


def _shell(shell_id: str, below: str) -> str:
    return f"/shells/{segment(checks.text('shell id', shell_id))}{below}"


def _service(name: str, below: str) -> str:
    return f"/services/{segment(checks.text('service name', name).strip())}{below}"
