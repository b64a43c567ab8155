"""Agents that do not keep to the protocol, and requests that must not reach one."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_agent import FakeAgent, Script, Talk, answering, flood, silent, until_closed
from test_calls import SERVICE, SHELL, call

from pyro_mcp._guest import limits
from pyro_mcp.vm_guest import AgentError, ProtocolError, VsockExecClient

EXEC: dict[str, Any] = {"command": "true"}
READ = {"workspace_path": "/workspace/f", "max_bytes": 64}
ENTRY = '{"path": "/workspace/f", "artifact_type": "file", "size_bytes": 1, "link_target": null}'


@pytest.mark.parametrize(
    ("method", "arguments", "reply"),
    [
        ("exec", EXEC, b'{"stdout": "\xff"}'),
        ("exec", EXEC, b'{"stdout": "\xed\xa0\x80"}'),
        ("exec", EXEC, b'{"duration_ms": NaN}'),
        ("exec", EXEC, b'{"x": -Infinity}'),
        ("exec", EXEC, b'{"stdout": 1}'),
        ("exec", EXEC, b'{"exit_code": true}'),
        ("exec", EXEC, b'{"exit_code": 0.0}'),
        ("exec", EXEC, b'{"exit_code": 9223372036854775808}'),
        ("exec", EXEC, b'{"exit_code": ' + b"9" * 5000 + b"}"),
        ("exec", EXEC, b'{"duration_ms": -1}'),
        ("exec", EXEC, b'{"stdout_truncated": "false"}'),
        ("exec", EXEC, b'{"stdout": "a", "stdout": "b"}'),
        ("exec", EXEC, b'{"x": ' + b"[" * 30000),
        ("exec", EXEC, b'{"x": ' + b"[" * 30000 + b"]" * 30000 + b"}"),
        ("exec", EXEC, b'{"x": [' + b"{}," * 1_000_000 + b"{}]}"),
        ("exec", EXEC, b'{"x": ["",' + b'"",' * 1_000_000 + b'""]}'),
        ("exec", EXEC, b'{"x": "' + b'\\"' * 1_000_000),
        ("exec", EXEC, b"{" + b",".join(b'"%d": 1' % i for i in range(300)) + b"}"),
        ("list_workspace_entries", {}, b'{"entries": {}}'),
        ("list_workspace_entries", {}, b'{"entries": [[]]}'),
        ("list_workspace_entries", {}, b'{"entries": [null]}'),
        ("list_workspace_entries", {}, b'{"entries": [{"path": "", "artifact_type": "file"}]}'),
        ("list_workspace_entries", {}, b'{"entries": [{"path": "/workspace/f"}]}'),
        ("list_workspace_entries", {}, b'{"artifact_type": "device"}'),
        ("list_workspace_entries", {}, b'{"entries": [' + b"[]," * 1_000_000 + b"[]]}"),
        ("read_workspace_file", READ, b"{}"),
        ("read_workspace_file", READ, b'{"content_b64": null}'),
        ("read_workspace_file", READ, b'{"content_b64": 1}'),
        ("read_workspace_file", READ, b'{"content_b64": "AP8K\\n"}'),
        ("read_workspace_file", READ, b'{"content_b64": "AP8"}'),
        ("read_workspace_file", READ, b'{"content_b64": "_-8K"}'),
        ("read_workspace_file", READ, b'{"content_b64": "AB=="}'),
        ("read_workspace_file", READ, b'{"content_b64": "\\u00e4AAA"}'),
        ("read_workspace_file", READ, b'{"content_b64": "AP8K", "size_bytes": 4}'),
        ("read_workspace_file", READ, b'{"content_b64": "' + b"AAAA" * 30 + b'"}'),
        ("open_shell", {"shell_id": "s"}, b'{"state": "asleep"}'),
        ("open_shell", {"shell_id": "s"}, b'{"cols": -1}'),
        ("open_shell", {"shell_id": "s"}, b'{"started_at": 1e999}'),
        ("open_shell", {"shell_id": "s"}, b'{"started_at": "1"}'),
        ("read_shell", {"shell_id": "s", "cursor": 5}, b'{"next_cursor": 4}'),
        ("read_shell", {"shell_id": "s"}, b'{"cursor": -1}'),
        ("status_service", {"service_name": "w"}, b"{}"),
        ("status_service", {"service_name": "w"}, b'{"state": "running", "readiness": []}'),
        ("status_service", {"service_name": "w"}, b'{"state": "running", "readiness": {"type": 1}}'),
    ],
)
def test_reply_is_refused(method: str, arguments: dict[str, Any], reply: bytes) -> None:
    with FakeAgent(answering(reply + b"\n")) as agent, pytest.raises(ProtocolError) as raised:
        call(agent, method, arguments)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("method", "arguments", "limit"),
    [
        ("exec", EXEC, limits.MAX_STREAMS_REPLY),
        ("list_workspace_entries", {}, limits.MAX_LIST_REPLY),
        ("read_workspace_file", READ, limits.MAX_SHORT_REPLY + 88),
        ("read_shell", {"shell_id": "s", "max_chars": 10}, limits.MAX_SHORT_REPLY + 120),
        ("status_service", {"service_name": "w"}, limits.MAX_SHORT_REPLY),
        ("export_archive", {}, limits.MAX_SHORT_REPLY),
    ],
)
def test_reply_without_end_is_cut_off(
    method: str, arguments: dict[str, Any], limit: int, tmp_path: Path
) -> None:
    if method == "export_archive":
        arguments = {"archive_path": tmp_path / "out.tar"}
    with FakeAgent(flood) as agent, pytest.raises(ProtocolError, match=rf"longer than {limit} bytes"):
        call(agent, method, arguments)
    assert list(tmp_path.iterdir()) == []


def dripping(talk: Talk) -> None:
    talk.line = talk.hear_line()
    while True:
        talk.say(b" ")


@pytest.mark.parametrize("script", [silent, dripping])
def test_agent_that_never_ends_meets_the_deadline(script: Script) -> None:
    with FakeAgent(script) as agent, pytest.raises(TimeoutError, match="delete_workspace_path: timed out"):
        call(agent, "delete_workspace_path", {"workspace_path": "f", "timeout_seconds": 0.05})


def test_exec_waits_longer_than_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXEC_MARGIN", 0.05)
    with FakeAgent(silent) as agent, pytest.raises(TimeoutError):
        call(agent, "exec", {"command": "sleep 9", "timeout_seconds": 0})
    assert agent.heard.request()["timeout_seconds"] == 0


def test_bridge_that_never_answers_meets_the_deadline() -> None:
    with FakeAgent(until_closed, greeting=b"") as agent, pytest.raises(TimeoutError):
        call(agent, "status_service", {"service_name": "w", "timeout_seconds": 0.05})


def test_agent_text_is_bounded_and_can_be_printed() -> None:
    reply = json.dumps({"error": "\ud800" + "ä" * 9000}).encode()
    with FakeAgent(answering(reply)) as agent, pytest.raises(AgentError) as raised:
        call(agent, "exec", EXEC)
    said = str(raised.value).encode("utf-8")
    assert said.startswith("\ufffdä".encode())
    assert len(said) <= limits.MAX_ERROR_TEXT


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ("false", "false"),
        ('""', "the agent failed and did not say why"),
    ],
)
def test_error_that_is_no_text(error: str, text: str) -> None:
    reply = f'{{"error": {error}, "kind": 3}}\n'.encode()
    with FakeAgent(answering(reply)) as agent, pytest.raises(AgentError) as raised:
        call(agent, "exec", EXEC)
    assert (str(raised.value), raised.value.kind) == (text, "")


def test_lone_surrogates_are_replaced() -> None:
    with FakeAgent(answering(b'{"stdout": "a\\ud800b\\ud83d\\ude00"}\n')) as agent:
        assert call(agent, "exec", EXEC).stdout == "a\ufffdb\U0001f600"


def test_long_output_and_long_lists_are_taken() -> None:
    text = '\\"\0,[{' * 50_000
    entries = f"[{', '.join([ENTRY] * 5000)}]"
    with FakeAgent(answering(json.dumps({"stdout": text, "stderr": text}).encode())) as agent:
        assert call(agent, "exec", EXEC).stderr == text
    with FakeAgent(answering(f'{{"entries": {entries}}}\n'.encode())) as agent:
        assert len(call(agent, "list_workspace_entries", {}).entries) == 5000


HEADER = b'{"workspace_path": "/workspace", "artifact_type": "directory", "archive_size": 5}\n'


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (HEADER + b"ab", "3 of 5 bytes of the archive are missing"),
        (HEADER, "5 of 5 bytes"),
        (HEADER + b"ab\ncdX", "more came"),
        (b'{"archive_size": -1}\n', "archive_size"),
        (b"{}\n", "archive_size"),
        (b"", "JSON object"),
        (b"\nabc", "JSON object"),
        (b'{"archive_size": 9223372036854775807}\nxy', "allowed are"),
        (b'{"archive_size": 0, "artifact_type": "device"}\n', "artifact_type"),
        (b'{"error": "path does not exist"}\n', "^path does not exist$"),
        (b'{"error": "path does not exist"}', "^path does not exist$"),
    ],
)
def test_export_that_fails_leaves_what_was_there(tmp_path: Path, reply: bytes, why: str) -> None:
    target = tmp_path / "out.tar"
    target.write_text("old")
    with FakeAgent(answering(reply)) as agent, pytest.raises(RuntimeError, match=why):
        call(agent, "export_archive", {"archive_path": target})
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_export_has_a_limit_of_the_callers(tmp_path: Path) -> None:
    with (
        FakeAgent(answering(HEADER + b"ab\ncd")) as agent,
        pytest.raises(ProtocolError, match="allowed are 4"),
    ):
        call(agent, "export_archive", {"archive_path": tmp_path / "out.tar", "max_bytes": 4})


def refusing(talk: Talk) -> None:
    """Answer before the archive is read, and close on it."""
    talk.line = talk.hear_line()
    talk.say(b'{"error": "archive is too large", "kind": "invalid"}\n')


def claiming(talk: Talk) -> None:
    talk.line = talk.hear_line()
    talk.say(b'{"entry_count": 1}\n')


def closing(talk: Talk) -> None:
    talk.line = talk.hear_line()


@pytest.mark.parametrize(
    ("script", "timeout", "error", "why"),
    [
        (refusing, 9, AgentError, "^archive is too large$"),
        (claiming, 9, ProtocolError, "before all was sent"),
        (closing, 9, OSError, "Broken pipe|reset by peer"),
        (flood, 0.2, ProtocolError, "longer than"),
    ],
)
def test_upload_that_fails(
    tmp_path: Path, script: Script, timeout: float, error: type[Exception], why: str
) -> None:
    source = tmp_path / "in.tar"
    source.write_bytes(bytes(16 << 20))  # more than fits between the two sides
    with FakeAgent(script) as agent, pytest.raises(error, match=why):
        call(agent, "upload_archive", {"archive_path": source, "timeout_seconds": timeout})


def test_upload_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    with FakeAgent(silent) as agent, pytest.raises(FileNotFoundError):
        call(agent, "upload_archive", {"archive_path": tmp_path / "none"})
    assert agent.talks == []


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("exec", {"command": "\udcff"}),
        ("exec", {"command": "x", "env": {"A": "\ud800"}}),
        ("exec", {"command": "x" * (9 << 20)}),
        ("write_workspace_file", {"workspace_path": "f", "text": "\udcff"}),
        ("read_workspace_file", {"workspace_path": "f", "max_bytes": 0}),
        ("read_workspace_file", {"workspace_path": "f", "max_bytes": (1 << 20) + 1}),
        ("status_service", {"service_name": "w", "timeout_seconds": 0}),
        ("status_service", {"service_name": "w", "timeout_seconds": float("nan")}),
    ],
)
def test_request_that_cannot_be_sent(method: str, arguments: dict[str, Any]) -> None:
    with FakeAgent(silent) as agent, pytest.raises(ValueError, match=r"."):
        call(agent, method, arguments)
    assert agent.talks == []


def test_calls_do_not_share_connections() -> None:
    client = VsockExecClient()
    with FakeAgent(answering(json.dumps({**SHELL, **SERVICE}).encode())) as agent:
        client.open_shell(0, 5005, shell_id="s1", uds_path=agent.path)
        client.status_service(0, 5005, service_name="web", uds_path=agent.path)
    assert len(agent.talks) == 2
