"""What of a tree is sent when it was pushed before."""

import base64
import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_pyro import Asked, FakePyro, answer

import pyro_mcp as pyro

ID = "0123456789ab"


class Compared:
    """A workspace that says of each name whether it has to be sent."""

    def __init__(self) -> None:
        self.needed: Callable[[str], bool] = lambda _: False
        self.last_push: object = time.time() + 60
        self.more: dict[str, Any] = {}
        self.listed: list[dict[str, Any]] = []
        self.sent: dict[str, tarfile.TarInfo] = {}

    def __call__(self, asked: Asked) -> bytes:
        if asked.path.endswith("/sync/compare"):
            self.listed = [json.loads(line) for line in asked.body.splitlines()]
            bits = bytearray((len(self.listed) + 7) // 8)
            for i, entry in enumerate(self.listed):
                bits[i // 8] |= self.needed(base64.b64decode(entry["p"]).decode()) << i % 8
            reply = {"needed": base64.b64encode(bits).decode(), "last_push": self.last_push}
            return answer(json.dumps({**reply, **self.more}).encode())
        if asked.path.endswith("/sync"):
            with tarfile.open(fileobj=io.BytesIO(asked.body)) as archive:
                self.sent = {member.name: member for member in archive}
            counts = {"entry_count": len(self.sent), "bytes_written": 0}
            return answer(json.dumps({"workspace_id": ID, "workspace_sync": counts}).encode())
        return answer(json.dumps({"workspace_id": ID, "state": "started", "deleted": True}).encode())


@pytest.fixture
def guest() -> Compared:
    return Compared()


@pytest.fixture
def ws(guest: Compared, tmp_path: Path) -> Iterator[pyro.Workspace]:
    (tmp_path / "run").mkdir()
    with FakePyro(tmp_path / "run/s", guest) as fake, pyro.Client(fake.url) as client:
        yield client.connect(ID)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "d").mkdir(parents=True)
    (root / "d/x").write_text("xx")
    (root / "d/y").write_text("y")
    (root / "l").symlink_to("d/x")
    return root


def test_what_stays_is_not_sent(ws: pyro.Workspace, guest: Compared, tree: Path) -> None:
    guest.needed = lambda name: name == "d/y"
    counts = ws.push(tree).workspace_sync
    # The directory, too: what is put into it changes its time.
    assert list(guest.sent) == ["d", "d/y"]
    assert (counts.entry_count, counts.unchanged_count, counts.bytes_written) == (4, 2, 2)
    kinds = {base64.b64decode(entry["p"]): (entry["k"], entry["s"]) for entry in guest.listed}
    assert kinds == {b"d": ("directory", 0), b"d/x": ("file", 2), b"d/y": ("file", 1), b"l": ("symlink", 0)}
    assert base64.b64decode(guest.listed[-1]["l"]) == b"d/x"


def test_what_changed_near_the_last_push_is_sent(ws: pyro.Workspace, guest: Compared, tree: Path) -> None:
    guest.last_push = (tree / "d/x").stat().st_ctime + 1
    assert ws.push(tree).workspace_sync.unchanged_count == 0
    guest.last_push = time.time() + 60
    assert ws.push(tree).workspace_sync.unchanged_count == 4


@pytest.mark.parametrize("last_push", [0, None])
def test_tree_that_was_never_pushed_is_sent(
    ws: pyro.Workspace, guest: Compared, tree: Path, last_push: object
) -> None:
    guest.last_push = last_push
    assert ws.push(tree).workspace_sync.unchanged_count == 0
    assert len(guest.sent) == 4


def test_all_is_sent_where_that_is_wanted(ws: pyro.Workspace, guest: Compared, tree: Path) -> None:
    assert ws.push(tree, whole=True).workspace_sync.unchanged_count == 0
    assert guest.listed == []
    assert len(guest.sent) == 4


def test_names_and_times_are_those_of_the_archive(ws: pyro.Workspace, guest: Compared, tree: Path) -> None:
    os.utime(tree / "d/x", ns=(0, 1_700_000_000_999_999_999))  # as a float it is the next second
    guest.last_push = 0
    ws.push(tree)
    assert {base64.b64decode(e["p"]).decode(): e["t"] for e in guest.listed} == {
        name: member.mtime for name, member in guest.sent.items()
    }


@pytest.mark.parametrize(
    "more",
    [
        {"needed": ""},
        {"needed": 5},
        {"last_push": "soon"},
        {"last_push": []},
        {"last_push": float("inf")},
        {"needed": "AAAA"},
    ],
)
def test_answer_about_another_tree_is_refused(
    ws: pyro.Workspace, guest: Compared, tree: Path, more: dict[str, Any]
) -> None:
    guest.more = more
    with pytest.raises(pyro.InternalError, match="the answer"):
        ws.push(tree)
    assert guest.sent == {}


def test_more_entries_than_go_into_one_piece(ws: pyro.Workspace, guest: Compared, tmp_path: Path) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for i in range(2500):
        (root / str(i)).touch()
    guest.needed = lambda name: name == "77"
    assert ws.push(root).workspace_sync.unchanged_count == 2499
    assert list(guest.sent) == ["77"]
