#!/usr/bin/env python3
"""Makes pyro_mcp._sync, the face that waits, of pyro_mcp.aio, the same one for asyncio.

What the two differ in is below them, in _api/face_sync.py and _api/face_async.py, which have
the same names. Formatting is ruff's; with --check nothing is written, and what would be
another program is an error.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "sdk" / "python" / "src" / "pyro_mcp"
HEADER = "# Made by tools/python-faces.py of aio/{name}. Change that one.\n"

WORDS = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bOpening\[([A-Za-z]+)\]", r"\1"),
    (r", Opening\b|\bOpening, ", ""),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\bface_async\b", "face_sync"),
    (r"\bpyro_mcp\.aio\b", "pyro_mcp._sync"),
]


def faces() -> dict[Path, str]:
    """Return what each file of the face that waits should hold."""
    made = {}
    for source in sorted((PACKAGE / "aio").glob("_[a-z]*.py")):
        text = source.read_text(encoding="utf-8")
        for pattern, replacement in WORDS:
            text = re.sub(pattern, replacement, text)
        made[PACKAGE / "_sync" / source.name] = HEADER.format(name=source.name) + text
    return made


def program(text: str) -> str:
    """Return what a file does, but for the order of what it imports."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            node.names.sort(key=lambda name: name.name)
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    rest = [node for node in tree.body if node not in imports]
    return "\n".join([*sorted(map(ast.dump, imports)), *map(ast.dump, rest)])


def differing() -> list[Path]:
    """Return the files that are another program than they should be."""
    return [
        path
        for path, text in faces().items()
        if not path.exists() or program(path.read_text(encoding="utf-8")) != program(text)
    ]


def main() -> int:
    """Write the files, or check them."""
    if "--check" in sys.argv:
        for path in (stale := differing()):
            print(f"{path} is not as tools/python-faces.py makes it", file=sys.stderr)
        return bool(stale)
    for path, text in faces().items():
        path.write_text(text, encoding="utf-8")
    for command in (["check", "--select=I", "--fix"], ["format"]):
        subprocess.run(["ruff", *command, "--quiet", "_sync"], cwd=PACKAGE, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
