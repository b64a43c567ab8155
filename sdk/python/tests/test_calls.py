"""Every call: the bytes that it sends and the result that it makes of the answer."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fake_agent import FakeAgent, answering

from pyro_mcp.vm_guest import (
    AgentError,
    GuestArchiveExportResponse,
    GuestArchiveResponse,
    GuestEntry,
    GuestExecResponse,
    GuestShellReadResponse,
    GuestShellSummary,
    VsockExecClient,
)

SHELL = {
    "shell_id": "s1",
    "cwd": "/workspace",
    "cols": 80,
    "rows": 24,
    "state": "running",
    "started_at": 12.5,
    "ended_at": None,
    "exit_code": None,
}
STOPPED = {**SHELL, "shell_id": "", "cols": 0, "rows": 0, "state": "stopped", "started_at": 0.0}
SERVICE = {
    "service_name": "web",
    "command": "serve",
    "cwd": "/workspace",
    "state": "running",
    "started_at": 1.5,
    "readiness": {"type": "tcp", "address": "127.0.0.1:80"},
    "ready_at": 2.5,
    "ended_at": None,
    "exit_code": None,
    "pid": 7,
    "stop_reason": None,
}
OURS = {"restart": "", "restart_count": 0, "failure": ""}
LOGS = {**SERVICE, "stdout": "out\n", "stderr": "err\n", "tail_lines": 2, "truncated": True}
ENTRY = {"path": "/workspace/l", "artifact_type": "symlink", "size_bytes": 1, "link_target": "f"}


class Call(NamedTuple):
    method: str
    arguments: dict[str, Any]
    request: dict[str, Any]
    reply: dict[str, Any]
    result: object


CALLS = [
    Call(
        "exec",
        {"command": "echo hi", "timeout_seconds": 1.5, "env": {"K": "ä"}},
        {"action": "exec", "command": "echo hi", "timeout_seconds": 2, "env": {"K": "ä"}},
        {"stdout": "hi\n", "stderr": "", "exit_code": 0, "duration_ms": 4},
        GuestExecResponse("hi\n", "", 0, 4),
    ),
    Call(
        "exec",
        {"command": "cat big"},
        {"action": "exec", "command": "cat big", "timeout_seconds": 30, "env": None},
        {"stdout": "…", "exit_code": -9, "stdout_truncated": True, "reason": "oom", "new": [1]},
        GuestExecResponse("…", "", -9, 0, stdout_truncated=True, reason="oom"),
    ),
    Call(
        "exec",
        {"command": "x"},
        {"action": "exec", "command": "x", "timeout_seconds": 30, "env": None},
        {"stdout": None, "error": None},
        GuestExecResponse("", "", -1, 0),
    ),
    Call(
        "list_workspace_entries",
        {"workspace_path": "/workspace/d", "recursive": True},
        {"action": "list_workspace", "path": "/workspace/d", "recursive": True},
        {"path": "/workspace/d", "artifact_type": "directory", "entries": [ENTRY]},
        {"path": "/workspace/d", "artifact_type": "directory", "entries": [ENTRY]},
    ),
    Call(
        "read_workspace_file",
        {"workspace_path": "/workspace/f", "max_bytes": 64},
        {"action": "read_workspace_file", "path": "/workspace/f", "max_bytes": 64},
        {"path": "/workspace/f", "size_bytes": 3, "content_b64": "AP8K"},
        {"path": "/workspace/f", "size_bytes": 3, "content_bytes": b"\0\xff\n"},
    ),
    Call(
        "write_workspace_file",
        {"workspace_path": "/workspace/f", "text": "é\n"},
        {"action": "write_workspace_file", "path": "/workspace/f", "text": "é\n"},
        {"path": "/workspace/f", "size_bytes": 3, "bytes_written": 3},
        {"path": "/workspace/f", "size_bytes": 3, "bytes_written": 3},
    ),
    Call(
        "delete_workspace_path",
        {"workspace_path": "/workspace/f"},
        {"action": "delete_workspace_path", "path": "/workspace/f"},
        {"path": "/workspace/f", "deleted": True},
        {"path": "/workspace/f", "deleted": True},
    ),
    Call(
        "open_shell",
        {"shell_id": "s1", "cols": 80, "rows": 24, "env": {"A": "b"}, "redact_values": ["x"]},
        {
            "action": "open_shell",
            "shell_id": "s1",
            "cwd": "/workspace",
            "cols": 80,
            "rows": 24,
            "env": {"A": "b"},
            "redact_values": ["x"],
        },
        SHELL,
        GuestShellSummary("s1", "/workspace", 80, 24, "running", 12.5, None, None),
    ),
    Call(
        "read_shell",
        {"shell_id": "s1", "cursor": 3, "max_chars": 10},
        {"action": "read_shell", "shell_id": "s1", "cursor": 3, "max_chars": 10},
        {**SHELL, "cursor": 3, "next_cursor": 5, "output": "hi", "truncated": True},
        GuestShellReadResponse(
            "s1", "/workspace", 80, 24, "running", 12.5, None, None, 3, 5, "hi", truncated=True
        ),
    ),
    Call(
        "read_shell",
        {"shell_id": "s1", "cursor": 3},
        {"action": "read_shell", "shell_id": "s1", "cursor": 3, "max_chars": 65536},
        {},
        GuestShellReadResponse("", "/workspace", 0, 0, "stopped", 0.0, None, None, 3, 3, "", truncated=False),
    ),
    Call(
        "write_shell",
        {"shell_id": "s1", "input_text": "ls", "append_newline": False},
        {"action": "write_shell", "shell_id": "s1", "input": "ls", "append_newline": False},
        {**SHELL, "input_length": 2, "append_newline": False},
        {**SHELL, "input_length": 2, "append_newline": False},
    ),
    Call(
        "signal_shell",
        {"shell_id": "s1", "signal_name": "term"},
        {"action": "signal_shell", "shell_id": "s1", "signal": "term"},
        {**SHELL, "signal": "TERM"},
        {**SHELL, "signal": "TERM"},
    ),
    Call(
        "close_shell",
        {"shell_id": "s1"},
        {"action": "close_shell", "shell_id": "s1"},
        {},
        {**STOPPED, "closed": True},
    ),
    Call(
        "start_service",
        {"service_name": "web", "command": "serve", "readiness": SERVICE["readiness"]},
        {
            "action": "start_service",
            "service_name": "web",
            "command": "serve",
            "cwd": "/workspace",
            "readiness": SERVICE["readiness"],
            "ready_timeout_seconds": 30,
            "ready_interval_ms": 500,
            "env": None,
        },
        {**SERVICE, "restart": "no", "restart_count": 1, "failure": ""},
        {**SERVICE, "restart": "no", "restart_count": 1, "failure": ""},
    ),
    Call(
        "status_service",
        {"service_name": "web"},
        {"action": "status_service", "service_name": "web"},
        {**SERVICE, "readiness": None},
        {**SERVICE, "readiness": None, **OURS},
    ),
    Call(
        "logs_service",
        {"service_name": "web", "tail_lines": 2},
        {"action": "logs_service", "service_name": "web", "tail_lines": 2},
        LOGS,
        {**LOGS, **OURS},
    ),
    Call(
        "stop_service",
        {"service_name": "web"},
        {"action": "stop_service", "service_name": "web"},
        {**SERVICE, "state": "stopped", "ended_at": 9, "stop_reason": "sigterm"},
        {**SERVICE, "state": "stopped", "ended_at": 9.0, "stop_reason": "sigterm", **OURS},
    ),
]


def call(agent: FakeAgent, method: str, arguments: dict[str, Any]) -> Any:
    """Call a method over the bridge; the context id beside it changes nothing."""
    bound: Callable[..., Any] = getattr(VsockExecClient(), method)
    return bound(7, 5005, uds_path=agent.path, **arguments)


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.method)
def test_call(case: Call) -> None:
    with FakeAgent(answering(json.dumps(case.reply).encode() + b"\n")) as agent:
        result = call(agent, case.method, case.arguments)
    assert result == case.result
    assert agent.heard.handshake == b"CONNECT 5005\n"
    assert agent.heard.request() == case.request
    assert agent.heard.line.isascii()
    assert agent.heard.line.endswith(b"}\n")


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.method)
def test_call_raises_what_the_agent_said(case: Call) -> None:
    with (
        FakeAgent(answering(b'{"error": "it does not exist", "kind": "not_found"}\n')) as agent,
        pytest.raises(RuntimeError) as raised,
    ):
        call(agent, case.method, case.arguments)
    assert isinstance(raised.value, AgentError)
    assert (str(raised.value), raised.value.kind) == ("it does not exist", "not_found")


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.method)
@pytest.mark.parametrize("reply", [b"[]\n", b"17\n", b"", b"\n", b"{", b"{} {}\n", b"null\n"], ids=repr)
def test_call_refuses_what_is_no_object(case: Call, reply: bytes) -> None:
    with (
        FakeAgent(answering(reply)) as agent,
        pytest.raises(RuntimeError, match=rf"^{case.request['action']}: .*JSON object"),
    ):
        call(agent, case.method, case.arguments)


def test_results_are_frozen_and_read_like_dicts() -> None:
    entry = GuestEntry("/workspace/f", "file", 3, None)
    assert (entry["size_bytes"], entry.get("mode"), "mode" in entry) == (3, None, False)
    assert dict(entry) == dataclasses.asdict(entry)
    with pytest.raises(KeyError):
        entry["_names"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.path = "/"  # type: ignore[misc]


ARCHIVE = b"not\na tar\0\xff" * 9000  # nobody here unpacks it


@pytest.mark.parametrize(
    ("method", "arguments", "request_fields", "destination"),
    [
        (
            "upload_archive",
            {"destination": "/workspace/in"},
            {"action": "extract_archive", "destination": "/workspace/in"},
            "/workspace/in",
        ),
        ("install_secrets", {}, {"action": "install_secrets"}, "/run/pyro-secrets"),
    ],
)
def test_upload(
    tmp_path: Path,
    method: str,
    arguments: dict[str, Any],
    request_fields: dict[str, Any],
    destination: str,
) -> None:
    source = tmp_path / "in.tar"
    source.write_bytes(ARCHIVE)
    with FakeAgent(answering(b'{"entry_count": 1, "bytes_written": 5}\n')) as agent:
        result = call(agent, method, {"archive_path": source, **arguments})
    assert result == GuestArchiveResponse(destination, 1, 5)
    assert agent.heard.request() == {**request_fields, "archive_size": len(ARCHIVE)}
    assert agent.heard.body == ARCHIVE


def test_export_writes_the_archive_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.tar"
    header = {
        "artifact_type": "directory",
        "archive_size": len(ARCHIVE),
        "entry_count": 2,
        "bytes_written": 3,
    }
    with FakeAgent(answering(json.dumps(header).encode() + b"\n" + ARCHIVE)) as agent:
        result = call(agent, "export_archive", {"workspace_path": "/workspace/d", "archive_path": target})
    assert result == GuestArchiveExportResponse("/workspace/d", "directory", 2, 3, len(ARCHIVE))
    assert agent.heard.request() == {"action": "export_archive", "path": "/workspace/d"}
    assert target.read_bytes() == ARCHIVE
    assert list(target.parent.iterdir()) == [target]


def test_export_of_nothing_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out.tar"
    target.write_text("old")
    with FakeAgent(answering(b'{"archive_size": 0}\n')) as agent:
        call(agent, "export_archive", {"archive_path": str(target)})
    assert target.read_bytes() == b""
