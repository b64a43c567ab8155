"""Brings files of this machine into workspaces, and what is in workspaces into files."""

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pyro_mcp._api import frames, limits, words
from pyro_mcp._api.client import Client, WorkspaceClient
from pyro_mcp._api.endpoint import Held
from pyro_mcp._api.errors import ConflictError, DeniedError, InvalidError, of_reply
from pyro_mcp._api.http1 import ProtocolError, QueryValue
from pyro_mcp._api.link import Stream
from pyro_mcp._api.question import Question, encode, explain
from pyro_mcp._trees.judge import Judge
from pyro_mcp._trees.pack import DIRECTORY, Source
from pyro_mcp._trees.repack import Repacker
from pyro_mcp._trees.same import unchanged
from pyro_mcp._trees.stage import staged
from pyro_mcp._trees.tarread import Reader
from pyro_mcp._trees.unpack import Counts, Unpacker

_TREE_PAUSE = 180.0  # a workspace gives up an agent that says nothing for so long
_EXPORT = "export from workspace"


def source(
    path: str | os.PathLike[str],
    *,
    exclude: Iterable[str] = (),
    gitignore: bool = False,
    skip_special: bool = False,
) -> Source:
    """Return a directory or archive of this machine, with what is to be left out of it."""
    from pyro_mcp._trees.patterns import excluded_by, ignored_by_git

    excluded = [excluded_by(patterns)] if (patterns := list(_patterns(exclude))) else []
    if gitignore:
        excluded.append(ignored_by_git(os.fspath(Path(path).expanduser().resolve())))
    return Source(path, excluded, skip_special=skip_special)


def _patterns(exclude: Iterable[str]) -> Iterable[str]:
    if isinstance(exclude, str):
        raise InvalidError("exclude is one text, and has to be a list of patterns")
    return exclude


def create(client: Client, wanted: Mapping[str, Any], seed: Source | None) -> dict[str, Any]:
    """Make a workspace, with something in it if that is given."""
    question, chunks = _creation(wanted, seed, lease=False)
    return client.ask(question, chunks)


def lease(client: Client, wanted: Mapping[str, Any], seed: Source | None) -> tuple[dict[str, Any], Held]:
    """Make a workspace that ends with a connection."""
    question, chunks = _creation(wanted, seed, lease=True)
    return client.hold(question, chunks)


def _creation(
    wanted: Mapping[str, Any], seed: Source | None, *, lease: bool
) -> tuple[Question, Callable[[], Iterable[bytes]] | None]:
    query: dict[str, QueryValue] = {"lease": True if lease else None}
    question = Question(
        "create workspace", "POST", "/v1/workspaces", query, encode(wanted), within=limits.CREATE
    )
    if seed is None:
        return question, None
    boundary = secrets.token_hex(16)
    query["packed_at"] = repr(time.time())
    kind = f"multipart/form-data; boundary={boundary}"
    request = encode({**wanted, "seed": _origin(seed)}) or b""
    question = question._replace(body=None, content_type=kind, within=limits.TREE)
    return question, lambda: _form(boundary, request, seed)


def _origin(seed: Source) -> dict[str, str]:
    path = os.fsencode(seed.path).decode("utf-8", "replace")
    return {"mode": seed.mode, "seed_path": path, "origin_kind": "manual_seed_path", "origin_ref": path}


def _form(boundary: str, request: bytes, seed: Source) -> Iterator[bytes]:
    def part(name: str, kind: str, first: bool = False) -> bytes:
        head = f"--{boundary}\r\nContent-Disposition: form-data; name={name}\r\nContent-Type: {kind}\r\n\r\n"
        return (head if first else "\r\n" + head).encode()

    yield part("request", "application/json", first=True) + request + part("seed", "application/x-tar")
    yield from seed.raw()
    yield part("skipped", "text/plain") + str(seed.skipped).encode() + f"\r\n--{boundary}--\r\n".encode()


def push(at: WorkspaceClient, tree: Source, destination: str, *, whole: bool = False) -> dict[str, Any]:
    """Put a tree into a workspace that runs; unless all of it is wanted, what differs there."""
    query: dict[str, QueryValue] = {
        "destination": destination,
        "source": str(tree.path),
        "mode": tree.mode,
        "packed_at": repr(time.time()),
    }
    question = Question(
        "sync workspace", "PUT", "/sync", query, content_type="application/x-tar", within=limits.TREE
    )
    stays = unchanged(at, tree, query) if tree.mode == DIRECTORY and not whole else {}
    done = at.ask(question, lambda: tree.plain(stays))
    counts = done.get("workspace_sync")
    if isinstance(counts, dict):
        counts["skipped_count"], counts["unchanged_count"] = tree.skipped, len(stays)
        for name, more in (("entry_count", len(stays)), ("bytes_written", sum(stays.values()))):
            if isinstance(counts.get(name), int):
                counts[name] += more
    return done


def upload(at: WorkspaceClient, query: dict[str, QueryValue], content: words.Input) -> dict[str, Any]:
    """Put bytes of any length into a file of a workspace."""
    question = Question(
        "write file",
        "PUT",
        "/files/content",
        query,
        content_type="application/octet-stream",
        within=limits.TREE,
    )
    return at.ask(question, lambda: words.pieces_of(content))


def upload_from(
    at: WorkspaceClient, query: dict[str, QueryValue], path: "str | os.PathLike[str] | BinaryIO"
) -> dict[str, Any]:
    """Put a file of this machine into a file of a workspace."""
    if not isinstance(path, str | os.PathLike):
        return upload(at, query, path)
    with Path(path).open("rb") as file:
        return upload(at, query, file)


def receive(stream: Stream, question: Question) -> Iterator[bytes | dict[str, Any]]:
    """Yield what frames bring: heads as objects, output as bytes, and last the end as an object."""
    try:
        while True:
            frame = stream.receive()
            if frame.type in (frames.STDOUT, frames.STDERR):
                yield frame.payload
            elif frame.type in (frames.HEAD, frames.EXIT):
                yield frame.json()
                if frame.type == frames.EXIT:
                    return
            elif frame.type == frames.FAIL:
                raise of_reply(frame.json(), question.op)
    except ProtocolError as e:
        raise explain(question, "the workspace", e) from e
    finally:
        stream.close()


def save(
    at: WorkspaceClient, question: Question, output: "str | os.PathLike[str] | BinaryIO", *, force: bool
) -> dict[str, Any]:
    """Write what frames bring to a file, which appears when it is whole."""
    if not isinstance(output, str | os.PathLike):
        return _pour(at, question, output)
    with staged(output, force=force) as stage:
        made = stage.directory / "file"
        with made.open("xb") as file:
            end = _pour(at, question, file)
        stage.publish(made)
        return {**end, "output_path": str(stage.output)}


def _pour(at: WorkspaceClient, question: Question, file: BinaryIO) -> dict[str, Any]:
    stream = at.open(question)
    stream.patience = limits.PIECE
    end: dict[str, Any] = {}
    for came in receive(stream, question):
        if isinstance(came, bytes):
            file.write(came)
        else:
            end = came
    return end


class _Tree:
    """The archive in the frames of an answer."""

    def __init__(self, at: WorkspaceClient, question: Question, judge: Judge) -> None:
        self.kind = ""
        self.end: dict[str, Any] = {}
        stream = at.open(question)
        stream.patience = _TREE_PAUSE
        self._stream = stream
        self._came = receive(stream, question)
        self._judge = judge
        self._first: bytes | None = b""

    def begin(self) -> None:
        """Read the head, which says what it is."""
        while self._first == b"":
            self._first = self._take()

    def next(self) -> bytes:
        """Return what comes next of the archive; nothing is its end."""
        if self._first:
            data, self._first = self._first, None
            return data
        while (data_or_end := self._take()) == b"":
            pass
        return data_or_end or b""

    def _take(self) -> bytes | None:
        """Return a piece, which is empty for a head, or None for the end."""
        came = next(self._came, None)
        if came is None or isinstance(came, bytes):
            return came
        if "seed" in came:
            self.kind = str(came.get("artifact_type"))
            self._judge.learn(came["seed"] or ())
            return b""
        self.end = came
        return None

    def close(self) -> None:
        self._stream.close()

    def check(self) -> None:
        """Refuse what became another thing while it was sent."""
        if "artifact_type" in self.end and self.kind and self.end["artifact_type"] != self.kind:
            raise ConflictError(
                f"it was a {self.kind} and became a {self.end['artifact_type']} meanwhile", hint="try again"
            )


class _Exported(NamedTuple):
    """What an export has made, before it is in its place."""

    tree: _Tree
    judge: Judge
    made: Path
    counts: Counts


def export(
    at: WorkspaceClient,
    path: str,
    output: str | os.PathLike[str],
    *,
    tar: bool,
    force: bool,
    allow_autorun: bool,
    allow_collisions: bool,
) -> dict[str, Any]:
    """Bring a path of a workspace to a path of this machine."""
    full = guest_path(path)
    with staged(output, force=force) as stage:
        judge = Judge(allow_autorun=allow_autorun, allow_collisions=allow_collisions)
        done = _fetch(at, full, stage.directory, judge, tar=tar)
        stage.publish(done.made)
    place = str(stage.output)
    entries, size = done.counts
    at.tell({"kind": "exported", "path": full, "host_path": place, "entries": entries, "bytes": size})
    skipped = done.tree.end.get("skipped")
    return {
        "workspace_id": at.id,
        "workspace_path": full,
        "output_path": place,
        "artifact_type": done.tree.kind,
        "entry_count": entries,
        "bytes_written": size,
        "execution_mode": done.tree.end.get("execution_mode"),
        "format": "tar" if tar else "dir",
        "skipped": judge.skipped + (skipped if isinstance(skipped, int) else 0),
        "warnings": judge.warnings(),
    }


def _fetch(at: WorkspaceClient, full: str, directory: Path, judge: Judge, *, tar: bool) -> _Exported:
    """Make what is to be brought out in a directory of its own."""
    question = Question(_EXPORT, "GET", "/tree", {"path": full}, within=limits.LIST)
    tree = _Tree(at, question, judge)
    with contextlib.closing(tree):
        tree.begin()
        above, _, name = full.removeprefix("/workspace").strip("/").rpartition("/")
        single = None if tree.kind == "directory" else name
        judge.below(f"{above}/{name}" if single is None else above)
        made, counts = _tar(directory, tree, judge) if tar else _files(directory, tree, judge, single)
        tree.check()
    if single is not None and counts.entries != 1:
        why = "; ".join(judge.warnings()) or f"{single} is not in what came"
        raise DeniedError(f"{_EXPORT} {at.id}: {why}", hint="pass allow_autorun=True after a look at it")
    return _Exported(tree, judge, made, counts)


def _files(directory: Path, tree: _Tree, judge: Judge, single: str | None) -> tuple[Path, Counts]:
    made = directory / "tree"
    made.mkdir(mode=0o700)
    root = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        counts = Unpacker(root, judge, single).unpack(Reader(tree.next))
    finally:
        os.close(root)
    if single is not None:
        return made / single, counts
    made.chmod(0o755 & ~_umask())
    return made, counts


def _tar(directory: Path, tree: _Tree, judge: Judge) -> tuple[Path, Counts]:
    made = directory / "tar"
    repacker = Repacker(Reader(tree.next), judge)
    with made.open("xb") as file:
        for piece in repacker.pieces():
            file.write(piece)
    return made, repacker.counts()


def _umask() -> int:
    """Return the umask. It can only be had by setting it, which other threads would see."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022


def disk_export(at: WorkspaceClient, path: str, output: str | os.PathLike[str]) -> dict[str, Any]:
    """Bring a path of the disk of a stopped workspace to this machine, as an archive."""
    question = Question("export disk", "GET", "/disk/tar", {"path": path}, within=limits.LIST)
    with staged(output) as stage:
        judge = Judge(allow_autorun=True, allow_collisions=True)
        tree = _Tree(at, question, judge)
        with contextlib.closing(tree):
            made, counts = _tar(stage.directory, tree, judge)
        written = made.stat().st_size
        stage.publish(made)
    skipped = tree.end.get("skipped_count")
    return {
        "workspace_id": at.id,
        "output_path": str(stage.output),
        "disk_format": "tar",
        "bytes_written": written,
        "path": path,
        "entry_count": counts.entries,
        "skipped_count": judge.skipped + (skipped if isinstance(skipped, int) else 0),
    }


def guest_path(path: str) -> str:
    """Return a path in /workspace in full. The workspace judges it once more."""
    text = path.strip()
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not text or ".." in parts or "\0" in text:
        raise InvalidError(
            f"path {path!r} is empty or leads out of /workspace", hint="name something in /workspace"
        )
    if not text.startswith("/"):
        parts.insert(0, "workspace")
    if parts[:1] != ["workspace"]:
        raise InvalidError(f"path {path!r} is not in /workspace", hint="name something in /workspace")
    return "/" + "/".join(parts)
