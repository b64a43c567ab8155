"""What is left out of a tree: patterns as in .gitignore, and what git itself ignores."""

import os
import re
import subprocess
from collections.abc import Callable, Iterable

from pyro_mcp._api.errors import InvalidError, UnsupportedError

Excluded = Callable[[str, bool], bool]
"""Says of a path below the root, and whether that is a directory, that it is left out."""

_HINT = "patterns are those of .gitignore, for example node_modules or /build/"
_GIT_TIME = 120.0
_PIECES = re.compile(r"\*\*/|/\*\*\Z|\*+|\?|\[(?:!|\^)?\]?[^\]]*\]|\\.|.", re.DOTALL)


def excluded_by(patterns: Iterable[str]) -> Excluded:
    """Return what patterns leave out. See gitignore(5); the last one that matches counts."""
    rules = [_rule(pattern) for pattern in _lines(patterns)]

    def excluded(path: str, is_dir: bool) -> bool:
        verdict = False
        for matches, keeps, only_dirs in rules:
            if (is_dir or not only_dirs) and matches(path):
                verdict = not keeps
        return verdict

    return excluded


def _lines(patterns: Iterable[str]) -> list[str]:
    if isinstance(patterns, str):
        raise InvalidError("exclude is one text, and has to be a list of patterns", hint=_HINT)
    return [line for line in (one.rstrip("\n") for one in patterns) if line and not line.startswith("#")]


def _rule(pattern: str) -> tuple[Callable[[str], object], bool, bool]:
    keeps = pattern.startswith("!")
    body = pattern[1:] if keeps else pattern
    only_dirs = body.endswith("/")
    body = body.rstrip("/")
    if not body:
        raise InvalidError(f"exclude {pattern!r} names nothing", hint=_HINT)
    anchored = "/" in body
    text = ("" if anchored else "(?:.*/)?") + "".join(map(_piece, _PIECES.findall(body.lstrip("/"))))
    try:
        return re.compile(text, re.DOTALL).fullmatch, keeps, only_dirs
    except re.error as e:
        raise InvalidError(f"exclude {pattern!r}: {e}", hint=_HINT) from e


def _piece(piece: str) -> str:
    simple = {"**/": "(?:.*/)?", "/**": "/.*", "?": "[^/]"}
    if piece in simple:
        return simple[piece]
    if piece[0] == "*":
        return "[^/]*"
    if piece[0] == "[" and len(piece) > 1:
        inside = piece[1:-1].replace("\\", "\\\\")
        return "(?!/)[" + ("^" + inside[1:] if inside[:1] in ("!", "^") else inside) + "]"
    return re.escape(piece[-1])


def ignored_by_git(root: str) -> Excluded:
    """Return what git ignores in the work tree at root. It has to be installed."""
    # What a repository names as its file system monitor or hooks is not run.
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", root]
    command += ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            check=False,
            env=environment,
            timeout=_GIT_TIME,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as e:
        hint = "install git, or name with exclude what should be left out"
        raise UnsupportedError("git, which knows what is ignored, is not installed", hint=hint) from e
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise InvalidError(f"git cannot say what it ignores in {root}: {said}", hint="drop gitignore")
    names = {os.fsdecode(name).rstrip("/") for name in done.stdout.split(b"\0") if name}
    return lambda path, _: path in names
