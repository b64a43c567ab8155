# Made by tools/python-faces.py of aio/_files.py. Change that one.
"""The files of a workspace."""

import os
from collections.abc import Iterator
from typing import BinaryIO

from pyro_mcp._api import frames, limits
from pyro_mcp._api.errors import ConflictError, NotFoundError
from pyro_mcp._api.face_sync import ApiWorkspace, apart
from pyro_mcp._api.question import Question
from pyro_mcp._models.files import (
    FileDelete,
    FileEntry,
    FileList,
    FileMkdir,
    FileMove,
    FileRange,
    FileRead,
    FileStat,
    FileWrite,
)
from pyro_mcp._sync._ask import Query, ask
from pyro_mcp._sync._process import pour


class Files:
    """The files below /workspace of a workspace that runs.

    Paths are relative to /workspace, or absolute and in it. A symbolic link is a thing of its
    own: it is listed and deleted, and never followed.
    """

    def __init__(self, at: ApiWorkspace) -> None:
        self._at = at

    def list(self, path: str = "/workspace", *, recursive: bool = False) -> tuple[FileEntry, ...]:
        """List a directory by name, or the one thing that the path is."""
        found: tuple[FileEntry, ...] = ()
        after: str | None = None
        while True:
            query: Query = {"path": path, "recursive": recursive, "after": after}
            part = ask(
                FileList,
                self._at,
                "list files",
                "GET /files",
                query=query,
                within=limits.LIST,
                limit=limits.LIST_REPLY,
            )
            found += part.entries
            if not part.truncated or not part.next_after or part.next_after == after:
                return found
            after = part.next_after

    def stat(self, path: str) -> FileStat:
        """Say what one path is."""
        return ask(
            FileStat, self._at, "stat file", "GET /files/stat", query={"path": path}, within=limits.FILE
        )

    def exists(self, path: str) -> bool:
        """Report whether something is there, a link whose target is not included."""
        try:
            self.stat(path)
        except NotFoundError:
            return False
        return True

    def read(self, path: str, *, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Read a whole file of at most 256 MiB as text."""
        return (self.read_bytes(path)).decode(encoding, errors)

    def read_bytes(self, path: str, *, offset: int = 0, length: int = 0) -> bytes:
        """Read a file, or a part of it, into memory. A length of 0 is the rest, at most 256 MiB.

        A file can be longer than the disk that it is on: see :meth:`stream` and :meth:`download`.
        """
        data = bytearray()
        for piece in self.stream(path, offset=offset, length=length or limits.IN_MEMORY + 1):
            data += piece
        if not length and len(data) > limits.IN_MEMORY:
            raise ConflictError(
                f"read file: {path} holds more than {limits.IN_MEMORY} bytes",
                hint="use stream or download, or give a length",
                op="read file",
            )
        return bytes(data)

    def read_part(self, path: str, *, offset: int | None = None, max_bytes: int = 65536) -> FileRead:
        """Read at most 1 MiB as text, with what is known of the file. Other bytes are U+FFFD."""
        query: Query = {"path": path, "offset": offset, "max_bytes": max_bytes}
        return ask(
            FileRead,
            self._at,
            "read file",
            "GET /files/read",
            query=query,
            within=limits.FILE,
            limit=limits.FILE_REPLY,
        )

    def stream(self, path: str, *, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a file of any size, piece by piece."""
        question = self._content(path, offset, length)
        stream = self._at.open(question)
        stream.patience = limits.PIECE
        for kind, data in pour(stream, question.op):
            if kind != frames.EXIT:
                yield data

    def download(
        self, path: str, output: "str | os.PathLike[str] | BinaryIO", *, force: bool = False
    ) -> FileRange:
        """Write a file to one of this machine, which appears when it is whole."""
        from pyro_mcp._trees import transfer

        question = self._content(path, 0, 0)
        base = self._at.base
        return FileRange.of(apart(lambda: transfer.save(base, question, output, force=force)))

    def write(self, path: str, text: str, *, mode: int | None = None, exclusive: bool = False) -> FileWrite:
        """Put a text into a file. Directories above it are made.

        Without a mode the file keeps its own; a new one has 0644. With exclusive a file that is
        there is an ExistsError.
        """
        return self.write_bytes(path, text.encode(), mode=mode, exclusive=exclusive)

    def write_bytes(
        self, path: str, data: bytes, *, mode: int | None = None, exclusive: bool = False
    ) -> FileWrite:
        """Put bytes into a file, as :meth:`write` does."""
        question = Question(
            "write file",
            "PUT",
            "/files/content",
            _target(path, mode, exclusive),
            bytes(data),
            content_type="application/octet-stream",
            within=limits.PIECE + len(data) / limits.SLOWEST,
        )
        return FileWrite.of(self._at.ask(question))

    def upload(
        self,
        source: "str | os.PathLike[str] | BinaryIO",
        path: str,
        *,
        mode: int | None = None,
        exclusive: bool = False,
    ) -> FileWrite:
        """Put a file of this machine, or what a binary file still holds, into a file."""
        from pyro_mcp._trees import transfer

        base, query = self._at.base, _target(path, mode, exclusive)
        return FileWrite.of(apart(lambda: transfer.upload_from(base, query, source)))

    def mkdir(self, path: str, *, parents: bool = False) -> FileMkdir:
        """Make a directory; with parents those above it too, and it is no error if it is there."""
        body = {"path": path, "parents": parents}
        return ask(FileMkdir, self._at, "make directory", "POST /files/mkdir", body=body, within=limits.FILE)

    def move(self, source: str, target: str, *, overwrite: bool = False) -> FileMove:
        """Give something another name: the name itself, not a directory to put it into."""
        body = {"from_path": source, "to_path": target, "overwrite": overwrite}
        return ask(FileMove, self._at, "move file", "POST /files/move", body=body, within=limits.FILE)

    def delete(self, path: str, *, recursive: bool = False) -> FileDelete:
        """Remove a file or link, or a directory with all that is in it where that is asked for."""
        query: Query = {"path": path, "recursive": recursive}
        return ask(FileDelete, self._at, "delete file", "DELETE /files", query=query, within=limits.LIST)

    def _content(self, path: str, offset: int, length: int) -> Question:
        query: Query = {"path": path, "offset": offset, "length": length}
        return Question("read file", "GET", "/files/content", query, within=limits.FILE)


def _target(path: str, mode: int | None, exclusive: bool) -> Query:
    return {
        "path": path,
        "mode": None if mode is None else f"{mode:04o}",
        "exclusive": True if exclusive else None,
    }
