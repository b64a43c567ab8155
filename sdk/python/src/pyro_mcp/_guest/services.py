"""Services: commands that go on, with a name."""

import os
from collections.abc import Mapping
from typing import Any, TypedDict

from pyro_mcp._guest import limits
from pyro_mcp._guest.decode import Fields
from pyro_mcp._guest.exchange import Caller, Request, peer_of
from pyro_mcp._guest.results import GuestServiceLogsResponse, GuestServiceResponse

_STATES = ("running", "exited", "stopped", "failed")


class Services(Caller):
    """The calls for services."""

    def start_service(
        self,
        guest_cid: int,
        port: int,
        *,
        service_name: str,
        command: str,
        cwd: str = "/workspace",
        readiness: Mapping[str, Any] | None = None,
        ready_timeout_seconds: int = 30,
        ready_interval_ms: int = 500,
        env: dict[str, str] | None = None,
        timeout_seconds: float = 60.0,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestServiceResponse:
        """Start a service and wait until it is ready, has ended, or has had its time.

        A service that failed is a result, with the state ``failed``. ``readiness`` is
        ``{"type": "file", "path": …}``, ``{"type": "tcp", "address": "HOST:PORT"}``,
        ``{"type": "http", "url": …}`` or ``{"type": "command", "command": …}``. The answer is
        awaited for as long as the service has to get ready, and 25 seconds more, however
        short timeout_seconds is.
        """
        fields = {
            "service_name": service_name,
            "command": command,
            "cwd": cwd,
            "readiness": None if readiness is None else dict(readiness),
            "ready_timeout_seconds": ready_timeout_seconds,
            "ready_interval_ms": ready_interval_ms,
            "env": env,
        }
        timeout = max(timeout_seconds, ready_timeout_seconds + limits.SERVICE_MARGIN)
        request = Request("start_service", fields, timeout=timeout)
        return self._service(guest_cid, port, uds_path, request)

    def status_service(
        self,
        guest_cid: int,
        port: int,
        *,
        service_name: str,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestServiceResponse:
        """Return a service as it is now."""
        request = Request("status_service", {"service_name": service_name}, timeout=timeout_seconds)
        return self._service(guest_cid, port, uds_path, request)

    def logs_service(
        self,
        guest_cid: int,
        port: int,
        *,
        service_name: str,
        tail_lines: int | None = None,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestServiceLogsResponse:
        """Return the last lines of each stream of a service; None means all that is kept."""
        request = Request(
            "logs_service",
            {"service_name": service_name, "tail_lines": tail_lines},
            timeout=timeout_seconds,
            limit=limits.MAX_STREAMS_REPLY,
        )
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        return GuestServiceLogsResponse(
            **_record(reply, service_name),
            stdout=reply.text("stdout"),
            stderr=reply.text("stderr"),
            tail_lines=reply.maybe_number("tail_lines"),
            truncated=reply.flag("truncated"),
        )

    def stop_service(
        self,
        guest_cid: int,
        port: int,
        *,
        service_name: str,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestServiceResponse:
        """End a service (TERM, five seconds, KILL) and return it as it ended."""
        request = Request("stop_service", {"service_name": service_name}, timeout=timeout_seconds)
        return self._service(guest_cid, port, uds_path, request)

    def _service(
        self, guest_cid: int, port: int, uds_path: str | os.PathLike[str] | None, request: Request
    ) -> GuestServiceResponse:
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        return GuestServiceResponse(**_record(reply, request.fields["service_name"]))


class _Record(TypedDict):
    service_name: str
    command: str
    cwd: str
    state: str
    started_at: float
    readiness: dict[str, str] | None
    ready_at: float | None
    ended_at: float | None
    exit_code: int | None
    pid: int | None
    stop_reason: str | None
    restart: str
    restart_count: int
    failure: str


def _record(reply: Fields, service_name: str) -> _Record:
    return {
        "service_name": reply.text("service_name", service_name),
        "command": reply.text("command"),
        "cwd": reply.text("cwd"),
        "state": reply.one_of("state", "", _STATES),
        "started_at": reply.moment("started_at"),
        "readiness": reply.maybe_texts("readiness"),
        "ready_at": reply.maybe_moment("ready_at"),
        "ended_at": reply.maybe_moment("ended_at"),
        "exit_code": reply.maybe_number("exit_code"),
        "pid": reply.maybe_number("pid"),
        "stop_reason": reply.maybe_text("stop_reason"),
        "restart": reply.text("restart"),
        "restart_count": reply.count("restart_count"),
        "failure": reply.text("failure"),
    }
