"""Names of files that run by themselves, or that programs obey without being asked.

A workspace may write such files so that they run on this machine. It goes by names alone.
"""

import re
import unicodedata
from functools import cache
from itertools import pairwise
from typing import NamedTuple

# Passed over by HFS+ (Apple Technical Note 1150), so ".g\u200cit" is ".git" there.
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_HISTORY = ("objects", "refs", "logs")
_BARE = ("head", "config", "objects", "refs", "commondir")
_MAX_BARE = 100_000


class _Rules(NamedTuple):
    names: dict[str, str]
    below: dict[str, str]
    endings: dict[str, str]


def plain(part: str) -> str:
    """Return what other file systems take a part of a name for."""
    if not part.isascii():
        part = _UNSEEN.sub("", part)
    part = re.split(r"[:\\]", part, maxsplit=1)[0] or part
    return unicodedata.normalize("NFC", part).casefold().rstrip(". ")


def reason(parts: list[str]) -> str:
    """Say why the file or link of that name would run by itself, or ""."""
    names = [plain(part) for part in parts]
    for i, name in enumerate(names):
        if name.endswith(".git") or name == "git~1":
            return _of_git(name, names[i + 1 :])
    rules = _rules()
    pairs = [f"{above}/{name}" for above, name in pairwise(names)]
    for known in [*names, *pairs[:-1]]:
        if known in rules.below:
            return rules.below[known]
    for known in [*pairs[-1:], names[-1]]:
        if known in rules.names:
            return rules.names[known]
    ends = (names[-1][at:] for at, char in enumerate(names[-1]) if char == ".")
    return next((rules.endings[end] for end in ends if end in rules.endings), "")


def _of_git(repository: str, inside: list[str]) -> str:
    """Judge what is in a repository: hooks and settings, but not what only holds history."""
    if not inside:
        points = repository in (".git", "git~1")
        return "it points git to a repository, whose settings and hooks git obeys" if points else ""
    if inside[0] in _HISTORY:
        return ""
    if "hooks" in inside[:-1] and not inside[-1].endswith(".sample"):
        return "git runs it as a hook"
    if inside[-1] in ("config", "config.worktree"):
        return "git runs what its settings name"
    if inside[-1] in ("commondir", "gitdir", "attributes"):
        return "git goes by it to settings and filters, which it runs"
    return ""


@cache
def _rules() -> _Rules:
    from pyro_mcp._trees.autorun_table import TABLE

    rules = _Rules({}, {}, {})
    for why, patterns in TABLE:
        for pattern in patterns.lower().split():
            if pattern.startswith(".git/"):
                continue  # they are told of above
            if pattern.startswith("*"):
                rules.endings[pattern[1:]] = why
            elif pattern.endswith("/"):
                rules.below[pattern[:-1]] = why
            else:
                rules.names[pattern] = why
    return rules


class Bare:
    """Finds directories that git takes for a repository though they are not called .git."""

    def __init__(self) -> None:
        self._met: dict[str, set[str]] = {}

    def see(self, parts: list[str], *, directory: bool) -> bool:
        """Note a name, in any order. True: with it, the directory that it is in has become one."""
        part = parts[-1].lower() if parts else ""
        if part not in _BARE or ".git" in parts[:-1] or (part in ("objects", "refs") and not directory):
            return False
        above = "/".join(parts[:-1])
        if above not in self._met and len(self._met) >= _MAX_BARE:
            return False
        met = self._met.setdefault(above, set())
        before = _is_repository(met)
        met.add(part)
        return _is_repository(met) and not before


def _is_repository(met: set[str]) -> bool:
    return met >= set(_BARE[:4]) or met >= {"head", "commondir"}
