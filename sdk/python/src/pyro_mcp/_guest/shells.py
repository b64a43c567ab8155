"""Shells on a terminal. A shell's output is read by cursors that count code points."""

import os
from typing import TypedDict

from pyro_mcp._guest import limits
from pyro_mcp._guest.decode import Fields
from pyro_mcp._guest.errors import ProtocolError
from pyro_mcp._guest.exchange import Caller, Request, peer_of
from pyro_mcp._guest.results import (
    GuestShellCloseResponse,
    GuestShellReadResponse,
    GuestShellSignalResponse,
    GuestShellSummary,
    GuestShellWriteResponse,
)


class Shells(Caller):
    """The calls for shells."""

    def open_shell(
        self,
        guest_cid: int,
        port: int,
        *,
        shell_id: str,
        cwd: str = "/workspace",
        cols: int = 120,
        rows: int = 30,
        env: dict[str, str] | None = None,
        redact_values: list[str] | None = None,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestShellSummary:
        """Start a shell. The caller chooses its id; ``redact_values`` never show in its output."""
        fields = {
            "shell_id": shell_id,
            "cwd": cwd,
            "cols": cols,
            "rows": rows,
            "env": env,
            "redact_values": redact_values,
        }
        request = Request("open_shell", fields, timeout=timeout_seconds)
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        return GuestShellSummary(**_summary(reply))

    def read_shell(
        self,
        guest_cid: int,
        port: int,
        *,
        shell_id: str,
        cursor: int = 0,
        max_chars: int = 65536,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestShellReadResponse:
        """Read what a shell has printed from cursor on. It does not wait for output."""
        request = Request(
            "read_shell",
            {"shell_id": shell_id, "cursor": cursor, "max_chars": max_chars},
            timeout=timeout_seconds,
            limit=min(
                limits.MAX_SHORT_REPLY + limits.ESCAPED_CHAR * max(max_chars, 0), limits.MAX_STREAMS_REPLY
            ),
        )
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        start, end = _cursors(reply, cursor)
        return GuestShellReadResponse(
            **_summary(reply),
            cursor=start,
            next_cursor=end,
            output=reply.text("output"),
            truncated=reply.flag("truncated"),
            skipped_chars=reply.count("skipped_chars"),
        )

    def write_shell(
        self,
        guest_cid: int,
        port: int,
        *,
        shell_id: str,
        input_text: str,
        append_newline: bool = True,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestShellWriteResponse:
        """Type into a shell."""
        fields = {"shell_id": shell_id, "input": input_text, "append_newline": append_newline}
        request = Request("write_shell", fields, timeout=timeout_seconds)
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        return GuestShellWriteResponse(
            **_summary(reply),
            input_length=reply.count("input_length"),
            append_newline=reply.flag("append_newline", default=append_newline),
        )

    def signal_shell(
        self,
        guest_cid: int,
        port: int,
        *,
        shell_id: str,
        signal_name: str = "INT",
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestShellSignalResponse:
        """Send HUP, INT, TERM or KILL to what runs in a shell."""
        fields = {"shell_id": shell_id, "signal": signal_name}
        request = Request("signal_shell", fields, timeout=timeout_seconds)
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        return GuestShellSignalResponse(**_summary(reply), signal=reply.text("signal", signal_name))

    def close_shell(
        self,
        guest_cid: int,
        port: int,
        *,
        shell_id: str,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestShellCloseResponse:
        """End a shell and forget it."""
        request = Request("close_shell", {"shell_id": shell_id}, timeout=timeout_seconds)
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        return GuestShellCloseResponse(**_summary(reply), closed=reply.flag("closed", default=True))


class _Summary(TypedDict):
    shell_id: str
    cwd: str
    cols: int
    rows: int
    state: str
    started_at: float
    ended_at: float | None
    exit_code: int | None


def _summary(reply: Fields) -> _Summary:
    return {
        "shell_id": reply.text("shell_id"),
        "cwd": reply.text("cwd", "/workspace"),
        "cols": reply.count("cols"),
        "rows": reply.count("rows"),
        "state": reply.one_of("state", "stopped", ("running", "stopped")),
        "started_at": reply.moment("started_at"),
        "ended_at": reply.maybe_moment("ended_at"),
        "exit_code": reply.maybe_number("exit_code"),
    }


def _cursors(reply: Fields, asked: int) -> tuple[int, int]:
    start, end = reply.number("cursor", asked), reply.number("next_cursor", asked)
    if start < 0 or end < start:
        raise ProtocolError(f"{reply.where}: the agent's reply has a cursor from {start} to {end}")
    return start, end
