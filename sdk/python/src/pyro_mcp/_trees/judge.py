"""What of a tree from a workspace may be put on this machine.

Git acts at the next prompt in a directory, so what it would run or obey does not come along
unless it is as the workspace was seeded with it. Names that some file system takes for
others are refused.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pyro_mcp._api.errors import DeniedError
from pyro_mcp._trees.autorun import Bare, plain, reason
from pyro_mcp._trees.tarread import DIRECTORY, FILE, SYMLINK, Member

MAX_GUARDED = 1 << 20
_MAX_SEED = 1_000_000
_MAX_WARNINGS = 200
_MAX_NAME = 4096
_MAX_PARTS = 256
_MAX_HELD = 1 << 30  # characters of all names together, where each is kept
_RENAME = "rename it in the workspace, or export the directories beside it"


class Seeded(NamedTuple):
    """A file or link as the workspace was seeded with it."""

    executable: bool
    sha256: str
    target: bytes


class Judge:
    """Looks at the members of one export."""

    def __init__(self, *, allow_autorun: bool, allow_collisions: bool) -> None:
        self.skipped = 0
        self._at: list[str] = []
        self._allow_autorun = allow_autorun
        self._allow_collisions = allow_collisions
        self._seed: dict[bytes, Seeded] = {}
        self._names: dict[str, str] = {}
        self._left: set[str] = set()
        self._bare = Bare()
        self._warnings: list[str] = []
        self._unsaid = 0
        self._held = 0

    def below(self, at: str) -> None:
        """Say where the names count from, below /workspace."""
        self._at = [part for part in at.split("/") if part]

    def learn(self, entries: Iterable[dict[str, Any]]) -> None:
        """Note what the workspace was seeded with."""
        import base64

        for entry in entries:
            if len(self._seed) >= _MAX_SEED:
                raise DeniedError("the list of the seed is too long")
            name, target = (base64.b64decode(str(entry.get(key) or "")) for key in ("p", "l"))
            self._seed[name] = Seeded(bool(entry.get("x")), str(entry.get("d") or ""), target)

    def path(self, name: bytes) -> list[str]:
        """Return the parts of a name, which stay below where they begin."""
        text = name.decode("utf-8", "surrogateescape").removesuffix("/")
        parts = text.split("/")
        if parts == ["."] or not text:
            return []
        if len(name) > _MAX_NAME or len(parts) > _MAX_PARTS or "\0" in text:
            raise DeniedError(f"the name {text[:64]!r} is too long or holds a zero byte", hint=_RENAME)
        for part in parts:
            if part in ("", ".", ".."):
                raise DeniedError(f"the name {text[:200]!r} leads out of the tree", hint=_RENAME)
            if part != ".git" and plain(part) in (".git", "git~1"):
                raise DeniedError(f"the name {text[:200]!r} is .git on other file systems", hint=_RENAME)
        return parts

    def collides(self, parts: list[str]) -> None:
        """Refuse a name that some file system takes for that of another member."""
        if self._allow_collisions:
            return
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth])
            folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
            if folded not in self._names:
                self.hold(name)
            if self._names.setdefault(folded, name) != name:
                raise DeniedError(
                    f"{name!r} and {self._names[folded]!r} are one name on other file systems",
                    hint="rename one of them in the workspace, or pass allow_collisions=True",
                )

    def hold(self, name: str) -> None:
        """Count what a name takes here that is kept until the end."""
        self._held += len(name)
        if self._held > _MAX_HELD:
            raise DeniedError("the names in the archive are too long together", hint=_RENAME)

    def guards(self, parts: list[str], kind: str) -> str:
        """Say why something is left out unless it is as in the seed, or ""."""
        return "" if self._allow_autorun else _guarded(self._at + parts, kind)

    def as_seeded(self, parts: list[str], member: Member, content: bytes) -> bool:
        """Report whether a file or link is as the workspace was seeded with it."""
        return self._is_seeded(parts, member, hashlib.sha256(content).hexdigest())

    def _is_seeded(self, parts: list[str], member: Member, sha256: str) -> bool:
        full = "/".join(self._at + parts).encode("utf-8", "surrogateescape")
        seeded = self._seed.get(full)
        if seeded is None:
            return False
        if member.kind == SYMLINK:
            return bool(seeded.target) and seeded.target == member.target
        return (member.kind, seeded.executable, seeded.sha256) == (FILE, bool(member.mode & 0o111), sha256)

    def watched(self, parts: list[str], member: Member, content: Iterable[bytes] = ()) -> Iterator[bytes]:
        """Pass content on, and warn of what would run by itself unless it is as in the seed."""
        why = reason(self._at + parts)
        digest = hashlib.sha256()
        for data in content:
            if why:
                digest.update(data)
            yield data
        if why and not self._is_seeded(parts, member, digest.hexdigest()):
            self.warn(parts, f"would run by itself: {why}")

    def repository(self, parts: list[str], kind: str) -> None:
        """Warn of a directory that becomes a repository of git with a name in it."""
        if self._bare.see(self._at + parts, directory=kind != FILE):
            why = "git takes it for a repository and does what its config says"
            self.warn(parts[:-1], f"would run by itself: {why}")

    def leave(self, parts: list[str], why: str) -> None:
        """Note that something does not come along."""
        self._left.add("/".join(parts))
        self.skipped += 1
        self.warn(parts, why)

    def was_left(self, parts: list[str]) -> bool:
        """Report whether something did not come along."""
        return "/".join(parts) in self._left

    def link(self, parts: list[str], target: bytes) -> None:
        """Warn of a link that leads out of the tree, going by its text."""
        text = target.decode("utf-8", "surrogateescape")
        depth = len(parts) - 1
        out = text.startswith("/")
        for part in text.split("/"):
            depth += -1 if part == ".." else 0 if part in ("", ".") else 1
            out = out or depth < 0
        if out:
            self.warn(parts, f"leads out of what was exported, to {_quoted(text)}")

    def warn(self, parts: list[str], what: str) -> None:
        """Keep a line for the caller."""
        if len(self._warnings) >= _MAX_WARNINGS:
            self._unsaid += 1
            return
        self._warnings.append(f"{_quoted('/'.join(self._at + parts) or '.')}: {what}")

    def warnings(self) -> list[str]:
        """Return all lines."""
        return self._warnings + ([f"and {self._unsaid} more"] if self._unsaid else [])


def _quoted(name: str) -> str:
    return name if name.isprintable() and len(name) <= 512 else ascii(name[:512])


def _guarded(parts: list[str], kind: str) -> str:
    if kind == DIRECTORY:
        return ""
    for i, part in enumerate(parts):
        inside = parts[i + 1 :]
        if part != ".git":
            continue
        if not inside:
            return "it points git to a repository"
        if kind == SYMLINK:
            return "it is a link in a repository of git"
        if inside[0] in ("refs", "logs", "objects"):
            continue
        if "hooks" in inside[:-1] and not inside[-1].endswith(".sample"):
            return "git runs it as a hook"
        if inside[-1] in ("config", "config.worktree", "commondir", "gitdir"):
            return "git runs what it names"
    return ""
