#!/usr/bin/env python3
"""Makes the table of pyro_mcp._trees.autorun of that in internal/autorun/table.go.

Formatting is ruff's.
"""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "internal" / "autorun" / "table.go"
MADE = ROOT / "sdk" / "python" / "src" / "pyro_mcp" / "_trees" / "autorun_table.py"

HEAD = '''# Made by tools/python-autorun.py of internal/autorun/table.go. Change that one.
"""What runs by itself or is obeyed: the reason, and patterns of names."""

TABLE = (
'''


def table() -> list[tuple[str, str]]:
    """Return the rows: a reason and patterns."""
    rows = re.findall(r'^\t\{"([^"\\]*)", "([^"\\]*)"\},$', TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    if len(rows) != TABLE.read_text(encoding="utf-8").count('\t{"'):
        sys.exit(f"{TABLE}: a row is of another form")
    return rows


def text() -> str:
    """Return what the file should hold, but for its format."""
    rows = []
    for why, patterns in table():
        lines = textwrap.wrap(patterns, 90, break_long_words=False, break_on_hyphens=False)
        rows.append(f"    ({why!r}, " + " ".join(repr(line + " ") for line in lines) + "),\n")
    return HEAD + "".join(rows) + ")\n"


if __name__ == "__main__":
    MADE.write_text(text(), encoding="utf-8")
    sys.exit(subprocess.run(["ruff", "format", "--quiet", MADE], cwd=MADE.parent, check=False).returncode)
