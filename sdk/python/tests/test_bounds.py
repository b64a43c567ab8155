"""Guests that send without an end, and sources that fail on the way."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_pyro import UPGRADED, Asked, FakePyro, answer

import pyro_mcp as pyro
from pyro_mcp import aio
from pyro_mcp._api import frames, limits
from pyro_mcp._api.http1 import segment
from pyro_mcp._sync import _process
from pyro_mcp._trees.judge import Judge
from pyro_mcp._trees.stage import staged

ID = "0123456789ab"


def handle(asked: Asked) -> bytes | None:
    """Run "noise", which prints and never reads, "line", and "cat", which waits for its input."""
    sock = asked.peer.sock
    if asked.path.endswith("/files/content"):
        sock.sendall(UPGRADED)
        return frames.encode(frames.STDOUT, bytes(1000)) + frames.encode_json(frames.EXIT, {})
    if not asked.path.endswith("/exec"):
        return answer(json.dumps({"workspace_id": ID, "state": "started", "deleted": True}).encode())
    sock.sendall(UPGRADED)
    command = json.loads(asked.body)["command"]
    if command == "line":
        out = frames.encode(frames.STDOUT, b"x" * 100) * 50 + frames.encode(frames.STDOUT, b"\nend")
        return out + frames.encode_json(frames.EXIT, {"exit_code": 0})
    while command == "noise":
        sock.sendall(frames.encode(frames.STDOUT, bytes(1 << 16)))
    while asked.peer.frame().payload:
        pass
    return frames.encode_json(frames.EXIT, {"exit_code": 0})


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with FakePyro(tmp_path / "s", handle) as fake:
        yield fake.url


@pytest.fixture
def ws(url: str) -> Iterator[pyro.Workspace]:
    with pyro.Client(url) as client:
        yield client.connect(ID)


def test_output_that_nobody_reads_has_a_bound(ws: pyro.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD", 1 << 20)
    with ws.popen("noise", stdin=True) as process:
        with pytest.raises(pyro.ConflictError, match="were not read"):
            process.write(bytes(64 << 20))
        with pytest.raises(pyro.ConflictError, match="were not read"):
            process.wait()


def test_output_that_nobody_awaits_has_a_bound(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD", 1 << 20)

    async def talk() -> None:
        workspace = await aio.Client(url).connect(ID)
        async with workspace.popen("noise", stdin=True) as process:
            with pytest.raises(pyro.ConflictError, match="were not read"):
                await process.write(bytes(64 << 20))

    asyncio.run(talk())


def test_line_without_an_end_comes_in_parts(ws: pyro.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "_MAX_LINE", 1000)
    with ws.popen("line") as process:
        lines = list(process.lines())
    assert [len(line) for line in lines] == [1100, 1100, 1100, 1100, 600, 3]


def test_file_in_memory_has_a_bound(ws: pyro.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ws.files.read_bytes("f") == bytes(1000)
    monkeypatch.setattr(limits, "IN_MEMORY", 999)
    with pytest.raises(pyro.ConflictError, match="more than 999 bytes"):
        ws.files.read("f")
    assert ws.files.read_bytes("f", length=1000) == bytes(1000)  # as was asked


class SourceError(OSError):
    """What a program's own source fails with."""


def broken() -> Iterator[bytes]:
    yield b"begun"
    raise SourceError("no more")


@pytest.mark.parametrize("stdin", [broken, lambda: [b"a", 5]])
def test_source_that_fails_ends_the_command(ws: pyro.Workspace, url: str, stdin: Callable[[], Any]) -> None:
    async def feed() -> None:
        await (await aio.Client(url).connect(ID)).run("cat", stdin=stdin(), timeout=600)

    with pytest.raises((SourceError, TypeError)):
        ws.run("cat", stdin=stdin(), timeout=600)
    with pytest.raises((SourceError, TypeError)):
        asyncio.run(asyncio.wait_for(feed(), 60))


def test_input_can_be_texts(ws: pyro.Workspace) -> None:
    assert ws.run("cat", stdin=["a\n", "", "b"]).ok  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["", ".", "..", None, "n\udcff"])
def test_names_that_are_none(ws: pyro.Workspace, name: Any) -> None:
    for ask in (segment, ws.services.get, ws.shells.get, ws.snapshots.delete, ws.secrets.unset):
        with pytest.raises(pyro.InvalidError, match="no name"):
            ask(name)


@pytest.mark.parametrize("timeout", [None, "5", 0, float("inf")])
def test_times_that_are_none(ws: pyro.Workspace, timeout: Any) -> None:
    for ask in (ws.run, ws.popen):
        with pytest.raises(pyro.InvalidError, match="number of seconds"):
            ask("true", timeout=timeout)


@pytest.mark.parametrize("name", [r".git\config", r"GIT~1\hooks", ".git \\x"])
def test_git_by_another_divider_is_refused(name: str) -> None:
    with pytest.raises(pyro.DeniedError, match=r"is \.git on other"):
        Judge(allow_autorun=True, allow_collisions=True).path(name.encode())


def test_output_on_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object, **__: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", link)
    for text in ("one", "two"):
        with staged(tmp_path / text) as stage:
            (stage.directory / "file").write_text(text)
            stage.publish(stage.directory / "file")
        assert (tmp_path / text).read_text() == text
    with pytest.raises(pyro.ExistsError), staged(tmp_path / "new") as stage:
        (tmp_path / "new").write_text("came meanwhile")
        stage.publish(stage.directory / "file")
    assert (tmp_path / "new").read_text() == "came meanwhile"
    with pytest.raises(FileNotFoundError), staged(tmp_path / "none") as stage:
        stage.publish(stage.directory / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "one", "two"]


def test_directory_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    with pytest.raises(FileNotFoundError), staged(tmp_path / "out", force=True) as stage:
        stage.publish(stage.directory / "was never made")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]
