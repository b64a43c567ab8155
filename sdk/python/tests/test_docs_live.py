"""Each block of Python in docs/python.md and docs/migration.md is run, from top to bottom."""

import re
from pathlib import Path

import pytest
from sandboxed import place

__all__ = ["place"]

DOCS = Path(__file__).parents[3] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory with a project in it, and go there."""
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / "Makefile").write_text("test:\n\t@echo tested\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", ["python.md", "migration.md"])
def test_blocks_run(name: str, directory: Path) -> None:
    page = DOCS / name
    text = page.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks
    names: dict[str, object] = {"__name__": "docs"}
    for block in blocks:
        # With the lines of the page in tracebacks.
        before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * before + block[1], page, "exec"), names)  # noqa: S102 - the documentation of ours
