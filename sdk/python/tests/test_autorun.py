"""What an export warns of: names that are obeyed without anybody asking."""

import base64
import hashlib
import importlib.util
import tarfile
from pathlib import Path
from typing import Any

import pytest
from test_trees import END, cut, entry, unpacked

from pyro_mcp._api.errors import DeniedError
from pyro_mcp._trees import judge as judging
from pyro_mcp._trees import tarread
from pyro_mcp._trees.autorun import Bare, reason
from pyro_mcp._trees.autorun_table import TABLE
from pyro_mcp._trees.judge import Judge
from pyro_mcp._trees.repack import Repacker

GENERATOR = Path(__file__).parents[3] / "tools" / "python-autorun.py"


def test_table_is_that_of_the_other_clients() -> None:
    spec = importlib.util.spec_from_file_location("python_autorun", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert [(why, patterns.split()) for why, patterns in TABLE] == [
        (why, patterns.split()) for why, patterns in module.table()
    ]
    made: dict[str, Any] = {}
    exec(module.text(), made)  # noqa: S102 - what would be written
    assert made["TABLE"] == TABLE


ROWS = [(why, pattern) for why, patterns in TABLE for pattern in patterns.split()]


def test_each_row_holds() -> None:
    reasons = {why for why, _ in ROWS}
    for _, pattern in ROWS:
        name = f"x{pattern[1:]}" if pattern.startswith("*") else pattern
        name += "/x" if pattern.endswith("/hooks") else "x" if pattern.endswith("/") else ""
        for path in (name, f"sub/{name.upper()}"):
            assert reason(path.split("/")) in reasons, path


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (".g\u200cit/hooks/x", "hook"),
        ("bare.git/hooks/update", "hook"),
        ("git~1/config", "settings"),
        (".git/info/attributes", "filters"),
        ("a/b/.ENVRC", "direnv"),
        ("sub/.VSCode/settings.json", "folder is opened"),
        ("ma\u212aefile", "make runs"),
        (".github/workflows/ci.yml", "CI server"),
        ("lib/evil.pth", "whenever it starts"),
        ("settings.gradle.kts", "Java"),
    ],
)
def test_names_are_folded(path: str, says: str) -> None:
    assert says in reason(path.split("/"))


@pytest.mark.parametrize(
    "path",
    [
        "main.go",
        "src/makefile.go",
        "package-lock.json",
        "a.mkv",
        "config",
        "hooks/x",
        ".git/objects/hooks/x",
        ".git/HEAD",
        ".git/hooks/x.sample",
        "x.git",
        "x.desktop.txt",
        "\udcff",
        "...",
        "mk",
        ".mkdir",
    ],
)
def test_other_names_pass(path: str) -> None:
    assert reason(path.split("/")) == ""


CONTENT = b"evil"
DATA = (
    entry("Makefile", content=CONTENT)
    + entry(".envrc", content=b"")
    + entry("CLAUDE.md", tarfile.SYMTYPE, target="x")
    + entry("main.c", content=CONTENT)
    + entry("package.json", tarfile.LNKTYPE, target="main.c")
    + END
)


def seed(name: str, content: bytes = b"", target: bytes = b"") -> dict[str, Any]:
    names = {key: base64.b64encode(value).decode() for key, value in (("p", name.encode()), ("l", target))}
    return {**names, "x": False, "d": hashlib.sha256(content).hexdigest()}


SEED = [
    seed("Makefile", CONTENT),
    seed(".envrc"),
    seed("CLAUDE.md", target=b"x"),
    seed("package.json", CONTENT),
]
ALL = ["Makefile", ".envrc", "CLAUDE.md", "package.json"]


@pytest.mark.parametrize(
    ("seeded", "warned"),
    [
        ([], ALL),
        (SEED, ["package.json"]),
        ([seed("Makefile", b"good"), *SEED[1:]], ["Makefile", "package.json"]),
    ],
)
def test_what_is_not_as_in_the_seed_is_warned_of(tmp_path: Path, seeded: Any, warned: list[str]) -> None:
    judges = [Judge(allow_autorun=allow, allow_collisions=False) for allow in (True, False, False)]
    for judge in judges:
        judge.learn(seeded)
    unpacked(DATA, tmp_path / "one", judge=judges[0])
    unpacked(DATA, tmp_path / "two", judge=judges[1])
    packed = b"".join(Repacker(tarread.Reader(cut(DATA, 700)), judges[2]).pieces())
    assert (tmp_path / "one/Makefile").read_bytes() == CONTENT
    assert packed.count(CONTENT) == 2
    for judge in judges:
        said = judge.warnings()
        assert [line.partition(": ")[0] for line in said] == warned
        assert all("would run by itself" in line for line in said)


def test_repository_without_its_name_is_warned_of(tmp_path: Path) -> None:
    names = entry("b/HEAD") + entry("b/config") + entry("b/objects", tarfile.DIRTYPE)
    judge = Judge(allow_autorun=False, allow_collisions=False)
    unpacked(names + entry("b/refs", tarfile.SYMTYPE, target="objects") + END, tmp_path / "a", judge=judge)
    assert judge.warnings() == [
        "b: would run by itself: git takes it for a repository and does what its config says"
    ]
    judge = Judge(allow_autorun=False, allow_collisions=False)
    unpacked(entry("HEAD") + entry("commondir") + END, tmp_path / "b", judge=judge)
    assert judge.warnings()[0].startswith(".: ")
    bare = Bare()
    assert not any(bare.see(["refs"], directory=False) for _ in range(2))
    for name in ("HEAD", "config", "objects"):
        assert not bare.see([".git", name], directory=True)


def test_names_have_a_bound_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_MAX_HELD", 10_000)
    deep = "/".join(["d"] * 250)
    for allow in (True, False):
        judge = Judge(allow_autorun=False, allow_collisions=allow)
        with pytest.raises(DeniedError, match="too long together"):
            unpacked(entry(deep) + END, tmp_path / str(allow), judge=judge)
