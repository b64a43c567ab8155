"""Trees on their way in and out, made by honest people and by others."""

import base64
import hashlib
import io
import os
import socket
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyro_mcp._api.errors import (
    ConflictError,
    DeniedError,
    ExistsError,
    InvalidError,
    NotFoundError,
    PyroError,
    UnsupportedError,
)
from pyro_mcp._api.words import pieces_of
from pyro_mcp._trees import tarread
from pyro_mcp._trees.judge import Judge
from pyro_mcp._trees.pack import Source
from pyro_mcp._trees.patterns import excluded_by
from pyro_mcp._trees.repack import Repacker
from pyro_mcp._trees.stage import staged
from pyro_mcp._trees.transfer import guest_path, source
from pyro_mcp._trees.unpack import Unpacker


def cut(data: bytes, size: int) -> Any:
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    return lambda: next(pieces, b"")


def unpacked(data: bytes, into: Path, *, single: str | None = None, judge: Judge | None = None) -> Any:
    into.mkdir(exist_ok=True)
    root = os.open(into, os.O_RDONLY)
    try:
        judge = judge or Judge(allow_autorun=False, allow_collisions=False)
        return Unpacker(root, judge, single).unpack(tarread.Reader(cut(data, 700)))
    finally:
        os.close(root)


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", target: str = "", mode: int = 0o644
) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mode = kind, len(content), target, mode
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)


END = bytes(1024)


def names_in(packed: Source) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(packed.plain()))) as archive:
        return archive.getnames()


def shape(top: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(top.rglob("*")):
        name, info = str(path.relative_to(top)), path.lstat()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_dir():
            found[name] = (stat.S_IMODE(info.st_mode), int(info.st_mtime))
        else:
            found[name] = (stat.S_IMODE(info.st_mode), int(info.st_mtime), path.read_bytes())
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "sub" / "empty").mkdir(parents=True)
    (top / "a.txt").write_text("hello")
    (top / "run.sh").write_text("#!/bin/sh")
    (top / "run.sh").chmod(0o750)
    (top / "sub" / "big").write_bytes(os.urandom(1_000_000))
    (top / ("n" * 120)).write_text("long")
    (top / os.fsdecode(b"x\xff\n")).write_text("bytes")
    (top / "link").symlink_to("a.txt")
    (top / "away").symlink_to("/etc/hosts")
    os.link(top / "a.txt", top / "sub" / "hard")
    os.utime(top / "a.txt", (1_000_000_000, 1_000_000_000))
    (top / "sub" / "empty").chmod(0o555)
    return top


def test_tree_comes_back_as_it_was(tree: Path, tmp_path: Path) -> None:
    data = b"".join(Source(tree, []).plain())
    judge = Judge(allow_autorun=False, allow_collisions=False)
    counts = unpacked(data, tmp_path / "out", judge=judge)
    assert shape(tmp_path / "out") == shape(tree)
    assert (tmp_path / "out/a.txt").samefile(tmp_path / "out/sub/hard")
    assert counts.entries == len(list(tree.rglob("*")))
    assert (
        counts.bytes
        == sum(p.stat().st_size for p in tree.rglob("*") if p.is_file() and not p.is_symlink()) - 5
    )
    assert judge.warnings() == ["away: leads out of what was exported, to /etc/hosts"]


def test_packing_makes_no_large_pieces(tree: Path) -> None:
    assert max(map(len, Source(tree, []).plain())) < 1 << 20


def test_python_reads_what_is_packed(tree: Path) -> None:
    data = b"".join(Source(tree, []).plain())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {m.uid for m in archive} == {0}
        assert archive.getmember("sub/hard").islnk()


def test_special_files_are_refused_or_counted(tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tree / "s"))
        with pytest.raises(UnsupportedError, match="fifo"):
            list(Source(tree, []).plain())
        lenient = Source(tree, [], skip_special=True)
        names = names_in(lenient)
    assert lenient.skipped == 2
    assert not {"fifo", "s"} & set(names)


def test_file_that_shrinks_is_a_conflict(tree: Path) -> None:
    pieces = Source(tree, []).plain()
    next(pieces)
    (tree / "sub" / "big").write_bytes(b"")
    with pytest.raises(ConflictError, match="shorter"):
        for _ in pieces:
            pass


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_archives_are_pushed_without_their_compression(tree: Path, tmp_path: Path, mode: Any) -> None:
    path = tmp_path / f"tree.tar{mode[1:].replace(':', '.')}"
    with tarfile.open(path, mode) as archive:
        archive.add(tree, ".")
    given = Source(path, [])
    assert b"".join(given.raw()) == path.read_bytes()
    unpacked(b"".join(given.plain()), tmp_path / "out")
    assert shape(tmp_path / "out") == shape(tree)


def test_sources_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "bad.tar").write_text("x" * 600)
    (tmp_path / "x.tar.zst").write_text("x")
    with pytest.raises(NotFoundError):
        Source(tmp_path / "none", [])
    with pytest.raises(InvalidError, match="neither a directory nor"):
        Source(tmp_path / "file", [])
    with pytest.raises(InvalidError, match="no tar archive"):
        list(Source(tmp_path / "bad.tar", []).plain())
    with pytest.raises(UnsupportedError, match="zstd"):
        list(Source(tmp_path / "x.tar.zst", []).plain())
    with pytest.raises(InvalidError):
        source(tmp_path, exclude="node_modules")


@pytest.mark.parametrize(
    ("patterns", "path", "is_dir", "out"),
    [
        (["node_modules"], "a/node_modules", True, True),
        (["node_modules/"], "node_modules", False, False),
        (["/build"], "build", True, True),
        (["/build"], "a/build", True, False),
        (["*.o"], "a/b.o", False, True),
        (["*.o"], "a.o/b", False, False),
        (["a/*.c"], "a/x.c", False, True),
        (["a/*.c"], "a/b/x.c", False, False),
        (["**/x"], "a/b/x", False, True),
        (["a/**"], "a/b/c", False, True),
        (["a/**/z"], "a/z", False, True),
        (["a?c"], "abc", False, True),
        (["a?c"], "a/c", False, False),
        (["[a-c].x"], "b.x", False, True),
        (["[!a-c].x"], "b.x", False, False),
        (["*", "!keep"], "keep", False, False),
        (["!keep", "*"], "keep", False, True),
        (["# no", "", "a"], "# no", False, False),
        ([r"\#x"], "#x", False, True),
        (["a.b"], "axb", False, False),
    ],
)
def test_patterns(patterns: list[str], path: str, is_dir: bool, out: bool) -> None:
    assert excluded_by(patterns)(path, is_dir) is out


def test_what_is_excluded_stays_out(tree: Path) -> None:
    names = names_in(source(tree, exclude=["sub/", "n*"]))
    assert "a.txt" in names
    assert not [name for name in names if name.startswith(("sub", "n"))]


HOSTILE = {
    "parent": entry("../x", content=b"x"),
    "inner parent": entry("a/../../x", content=b"x"),
    "absolute": entry("/etc/x", content=b"x"),
    "empty part": entry("a//b", content=b"x"),
    "dot part": entry("a/./b", content=b"x"),
    "below a link": entry("l", tarfile.SYMTYPE, target="/tmp") + entry("l/x", content=b"x"),  # noqa: S108
    "below a file": entry("f", content=b"x") + entry("f/x", content=b"x"),
    "link replaced by a directory": entry("l", tarfile.SYMTYPE, target="/tmp") + entry("l", tarfile.DIRTYPE),  # noqa: S108
    "twice": entry("f", content=b"x") + entry("f", content=b"y"),
    "link twice": entry("f", tarfile.SYMTYPE, target="/x") + entry("f", content=b"y"),
    "hard link out": entry("h", tarfile.LNKTYPE, target="../../etc/passwd"),
    "hard link absolute": entry("h", tarfile.LNKTYPE, target="/etc/passwd"),
    "hard link to nothing": entry("h", tarfile.LNKTYPE, target="none"),
    "hard link to a directory": entry("d", tarfile.DIRTYPE) + entry("h", tarfile.LNKTYPE, target="d"),
    "hard link through a link": entry("l", tarfile.SYMTYPE, target="/etc")
    + entry("h", tarfile.LNKTYPE, target="l/passwd"),
    "link to nowhere": entry("l", tarfile.SYMTYPE, target=""),
    "git by case": entry(".GIT/hooks/x", content=b"x"),
    "git by NTFS": entry("git~1/config", content=b"x"),
    "git by an ignored character": entry(".g\u200cit/config", content=b"x"),
    "git by a stream": entry(".git::$INDEX_ALLOCATION/config", content=b"x"),
    "git with a dot": entry(".git./config", content=b"x"),
    "case": entry("A/x", content=b"x") + entry("a/y", content=b"x"),
    "form": entry("\u00e9", content=b"x") + entry("e\u0301", content=b"x"),
    "long name": entry("/".join(["d" * 200] * 30), content=b"x"),
    "deep": entry("/".join(["d"] * 300), content=b"x"),
    "type": entry("x", b"S", content=b""),
    "checksum": entry("x")[:140] + b"9" + entry("x")[141:],
    "no header": b"x" * 512,
    "cut content": entry("x", content=b"x" * 1000)[:1000],
    "huge": entry("x")[:124] + b"77777777777\0" + entry("x")[136:],
    "negative": entry("x")[:124] + b"-1         \0" + entry("x")[136:],
    "base 256": entry("x")[:124] + b"\x80" + bytes(11) + entry("x")[136:],
    "behind the end": bytes(512) + b"x" * 512,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_and_leave_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises((DeniedError, OSError)) as refused, staged(tmp_path / "out") as stage:
        unpacked(HOSTILE[name] + END, stage.directory / "tree")
        stage.publish(stage.directory / "tree")
    assert isinstance(refused.value, PyroError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", [n for n in HOSTILE if n not in ("below a link", "below a file", "link to nowhere")]
)
def test_hostile_archives_are_not_repacked(name: str) -> None:
    judge = Judge(allow_autorun=False, allow_collisions=False)
    with pytest.raises(PyroError):
        list(Repacker(tarread.Reader(cut(HOSTILE[name] + END, 512)), judge).pieces())


@pytest.mark.parametrize(
    "records",
    [
        b"8 path=x\n",
        b"x path=x\n",
        b"99 path=x\n",
        b"10 path=x\0\n",
        b"8 pathx\n",
        b"1 \n",
        b"20 size=-5\n",
        b"12 size=abc\n",
    ],
)
def test_extended_headers_that_make_no_sense_are_refused(records: bytes, tmp_path: Path) -> None:
    with pytest.raises(DeniedError):
        unpacked(entry("p", b"x", content=records) + entry("x") + END, tmp_path / "out")


def test_long_extended_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    came = []

    def receive() -> bytes:
        came.append(1)
        return (entry("p", b"x", content=b"") if len(came) == 1 else b"x" * 512).replace(
            entry("p", b"x")[124:136], b"07777777777\0"
        )

    with pytest.raises(DeniedError):
        for _ in tarread.Reader(receive):
            pass
    assert len(came) == 1


def test_special_files_and_bits_of_a_guest_are_dropped(tmp_path: Path) -> None:
    judge = Judge(allow_autorun=False, allow_collisions=False)
    data = (
        entry("dev", tarfile.CHRTYPE)
        + entry("fifo", tarfile.FIFOTYPE)
        + entry("s", content=b"x", mode=0o6755)
        + END
    )
    counts = unpacked(data, tmp_path / "out", judge=judge)
    assert (counts.entries, judge.skipped) == (1, 2)
    assert stat.S_IMODE((tmp_path / "out/s").stat().st_mode) == 0o755


GUARDED = [
    entry(".git/hooks/pre-commit", content=b"evil"),
    entry("sub/.git/config", content=b"evil"),
    entry(".git/modules/m/config", content=b"evil"),
    entry(".git", content=b"gitdir: /x"),
    entry(".git/x", tarfile.SYMTYPE, target="/x"),
]


@pytest.mark.parametrize("data", GUARDED)
def test_what_git_obeys_is_left_out(data: bytes, tmp_path: Path) -> None:
    judge = Judge(allow_autorun=False, allow_collisions=False)
    unpacked(data + END, tmp_path / "out", judge=judge)
    assert [p for p in (tmp_path / "out").rglob("*") if not p.is_dir()] == []
    assert judge.skipped == 1
    assert "allow_autorun" in judge.warnings()[0]
    unpacked(data + END, tmp_path / "all", judge=Judge(allow_autorun=True, allow_collisions=False))
    assert len([p for p in (tmp_path / "all").rglob("*") if p.is_symlink() or p.is_file()]) == 1


def test_another_name_of_what_is_left_out_is_left_out(tmp_path: Path) -> None:
    judge = Judge(allow_autorun=False, allow_collisions=False)
    data = entry(".git/config", content=b"evil") + entry("c", tarfile.LNKTYPE, target=".git/config") + END
    unpacked(data, tmp_path / "out", judge=judge)
    assert judge.skipped == 2
    assert not (tmp_path / "out/c").exists()


@pytest.mark.parametrize(
    ("content", "mode", "same"),
    [(b"[core]", 0o644, True), (b"[evil]", 0o644, False), (b"[core]", 0o755, False)],
)
def test_what_is_as_in_the_seed_comes_along(tmp_path: Path, content: bytes, mode: int, same: bool) -> None:
    judge = Judge(allow_autorun=False, allow_collisions=False)
    judge.below("sub")
    digest = hashlib.sha256(b"[core]").hexdigest()
    judge.learn([{"p": base64.b64encode(b"sub/.git/config").decode(), "x": False, "d": digest, "l": None}])
    unpacked(entry(".git/config", content=content, mode=mode) + END, tmp_path / "out", judge=judge)
    assert (tmp_path / "out/.git/config").exists() == same


def test_single_thing_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    unpacked(entry("f", content=b"x") + END, tmp_path / "out", single="f")
    with pytest.raises(DeniedError, match="alone was asked for"):
        unpacked(entry("g", content=b"x") + END, tmp_path / "out", single="f")


def test_stage_replaces_nothing_unless_it_is_forced(tmp_path: Path) -> None:
    output = tmp_path / "new" / "out"
    for kind in ("file", "directory", "file"):
        with staged(output, force=kind == "directory" or output.exists()) as stage:
            made = stage.directory / "made"
            if kind == "file":
                made.write_text("x")
            else:
                (made / "sub").mkdir(parents=True)
            stage.publish(made)
        assert output.is_dir() == (kind == "directory")
        with pytest.raises(ExistsError), staged(output):
            pass
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_stage_does_not_replace_what_came_meanwhile(tmp_path: Path, kind: str) -> None:
    output = tmp_path / "out"
    with pytest.raises(ExistsError), staged(output) as stage:
        made = stage.directory / "made"
        made.mkdir() if kind == "directory" else made.symlink_to("x") if kind == "link" else made.touch()
        output.mkdir()
        stage.publish(made)
    assert list(output.iterdir()) == []


def test_stage_does_not_replace_the_home_or_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home/me").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home/me"))
    with pytest.raises(DeniedError, match="home"), staged(tmp_path / "home", force=True):
        pass
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeniedError, match="current"), staged(tmp_path, force=True):
        pass


@pytest.mark.parametrize("text", ["", " ", "../x", "a/../../b", "/etc", "/", "a\0b"])
def test_paths_outside_of_the_workspace_are_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        guest_path(text)


def test_paths_in_the_workspace_have_one_form() -> None:
    assert [guest_path(p) for p in ("a/./b/", "/workspace//a", ".", "/workspace")] == [
        "/workspace/a/b",
        "/workspace/a",
        "/workspace",
        "/workspace",
    ]


def test_contents_become_bounded_pieces() -> None:
    def each() -> Iterator[bytes]:
        yield b"a"
        yield bytes(1 << 20)

    for content in (bytes(1 << 20), "x" * (1 << 20), io.BytesIO(bytes(1 << 20)), each()):
        pieces = list(pieces_of(content))
        assert sum(map(len, pieces)) in (1 << 20, (1 << 20) + 1)
        assert max(map(len, pieces)) <= 256 << 10
