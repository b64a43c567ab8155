"""What of a tree need not be pushed, because it was before and neither side has changed."""

import base64
import json
import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyro_mcp._api import limits
from pyro_mcp._api.client import WorkspaceClient
from pyro_mcp._api.errors import InternalError
from pyro_mcp._api.http1 import QueryValue
from pyro_mcp._api.question import Question
from pyro_mcp._models.base import Model
from pyro_mcp._trees.pack import Source

_OP = "sync workspace"
# So near to the last push a file may have changed and look as if it had not: the clocks of
# file systems go in steps.
_RACY = 2 * 1_000_000_000  # nanoseconds

Listed = list[tuple[str, int, int]]
"""Names, lengths, and when something changed last; of directories never."""


@dataclass(frozen=True)
class _Compared(Model):
    needed: str
    last_push: float


def unchanged(at: WorkspaceClient, tree: Source, query: dict[str, QueryValue]) -> dict[str, int]:
    """Return the members of a directory that stay as they are, with their lengths."""
    listed: Listed = []
    question = Question(
        _OP, "POST", "/sync/compare", query, content_type="application/x-ndjson", within=limits.LIST
    )
    answer = at.ask(question._replace(limit=limits.LOGS_REPLY), lambda: _lines(tree, listed))
    needed, last = _checked(answer, len(listed))
    if not last:  # who knows what changed there
        return {}
    since = int(last * 1_000_000_000) - _RACY
    stays: dict[str, int] = {}
    for i, (name, size, changed) in enumerate(listed):
        if needed[i // 8] >> i % 8 & 1 or changed >= since:
            # What is put into a directory changes its time, which is then set again.
            stays.pop(name.rpartition("/")[0], None)
        else:
            stays[name] = size
    return stays


def _lines(tree: Source, listed: Listed) -> Iterator[bytes]:
    """Yield one line of JSON for each member, in pieces, and note it."""
    held: list[str] = []
    for name, found, target in tree.entries():
        entry = _entry(name, found, target)
        listed.append((name, entry["s"], 0 if entry["k"] == "directory" else found.st_ctime_ns))
        held.append(json.dumps(entry))
        if len(held) == 1000:
            yield ("\n".join(held) + "\n").encode()
            held.clear()
    yield "".join(f"{line}\n" for line in held).encode()


def _entry(name: str, found: os.stat_result, target: str) -> dict[str, Any]:
    kinds = {stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
    kind = kinds.get(stat.S_IFMT(found.st_mode), "file")
    return {
        "p": base64.b64encode(os.fsencode(name)).decode(),
        "k": kind,
        "m": stat.S_IMODE(found.st_mode),
        "s": found.st_size if kind == "file" else 0,
        "t": found.st_mtime_ns // 1_000_000_000,
        "l": base64.b64encode(os.fsencode(target)).decode(),
    }


def _checked(answer: dict[str, Any], count: int) -> tuple[bytes, float]:
    """Return a bit for each member, and when the tree was pushed last."""
    found = _Compared.of(answer)
    try:
        needed = base64.b64decode(found.needed)
    except ValueError as e:
        raise InternalError(f"{_OP}: the answer's needed: {e}", op=_OP) from e
    if len(needed) != (count + 7) // 8 or not math.isfinite(found.last_push):
        raise InternalError(f"{_OP}: the answer is not about {count} entries", op=_OP)
    return needed, found.last_push
