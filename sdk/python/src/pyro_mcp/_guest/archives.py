"""Archives into the guest and out of it. They are never unpacked here."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pyro_mcp._guest import limits
from pyro_mcp._guest.decode import decode_reply
from pyro_mcp._guest.errors import ProtocolError
from pyro_mcp._guest.exchange import Caller, Request, peer_of
from pyro_mcp._guest.results import GuestArchiveExportResponse, GuestArchiveResponse
from pyro_mcp._guest.transport import Connection, Peer

_ARTIFACTS = ("file", "directory", "symlink")
_SECRETS = "/run/pyro-secrets"


class Archives(Caller):
    """The calls that carry archives. A path on this machine is ``archive_path``."""

    def upload_archive(
        self,
        guest_cid: int,
        port: int,
        archive_path: str | os.PathLike[str],
        *,
        destination: str = "/workspace",
        timeout_seconds: float = limits.ARCHIVE_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestArchiveResponse:
        """Unpack a tar file in the guest, at or below /workspace."""
        peer = peer_of(guest_cid, port, uds_path)
        wanted = {"destination": destination}
        return self._carry(peer, "extract_archive", wanted, archive_path, timeout_seconds)

    def install_secrets(
        self,
        guest_cid: int,
        port: int,
        archive_path: str | os.PathLike[str],
        *,
        timeout_seconds: float = limits.ARCHIVE_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestArchiveResponse:
        """Replace the guest's secrets by the files of a tar file."""
        peer = peer_of(guest_cid, port, uds_path)
        return self._carry(peer, "install_secrets", {}, archive_path, timeout_seconds)

    def export_archive(
        self,
        guest_cid: int,
        port: int,
        *,
        workspace_path: str = "/workspace",
        archive_path: str | os.PathLike[str],
        timeout_seconds: float = limits.ARCHIVE_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
        max_bytes: int = limits.MAX_ARCHIVE,
    ) -> GuestArchiveExportResponse:
        """Write a tar of what is at or below /workspace to a file.

        The file is made or replaced when all has come, with the directories above it. One
        of more than max_bytes is refused. Its content is the guest's: unpack it only with
        what a hostile archive cannot lead out of its directory.
        """
        peer = peer_of(guest_cid, port, uds_path)
        request = Request("export_archive", {"path": workspace_path}, timeout=timeout_seconds)
        line = request.line()
        with _replaced(Path(archive_path)) as file, self._connected(peer, request) as connection:
            connection.send(line)
            incoming = _Incoming(connection, request.action)
            response = _export_response(incoming.header(), request, workspace_path, max_bytes)
            connection.allow(response.archive_size)
            incoming.copy(file, response.archive_size)
        return response

    def _carry(
        self,
        peer: Peer,
        action: str,
        wanted: dict[str, Any],
        path: str | os.PathLike[str],
        timeout: float,
    ) -> GuestArchiveResponse:
        with Path(path).open("rb") as body:
            size = os.fstat(body.fileno()).st_size
            request = Request(action, {**wanted, "archive_size": size}, timeout=timeout)
            reply = self._upload(peer, request, body, size)
        return GuestArchiveResponse(
            destination=reply.text("destination", wanted.get("destination", _SECRETS)),
            entry_count=reply.count("entry_count"),
            bytes_written=reply.count("bytes_written"),
        )


def _export_response(
    header: bytes, request: Request, workspace_path: str, max_bytes: int
) -> GuestArchiveExportResponse:
    reply = decode_reply(header, request.action)
    size = reply.count("archive_size", -1)
    if size > max_bytes:
        raise ProtocolError(f"{request.action}: archive of {size} bytes, allowed are {max_bytes}")
    return GuestArchiveExportResponse(
        workspace_path=reply.text("workspace_path", workspace_path),
        artifact_type=reply.one_of("artifact_type", "file", _ARTIFACTS),
        entry_count=reply.count("entry_count"),
        bytes_written=reply.count("bytes_written"),
        archive_size=size,
    )


class _Incoming:
    """A line and then raw bytes, as they come on a connection."""

    def __init__(self, connection: Connection, where: str) -> None:
        self._connection = connection
        self._where = where
        self._rest = b""  # behind the line, received with it

    def header(self) -> bytes:
        """Return the line; the end of the connection ends one too."""
        line = bytearray()
        while (end := line.find(b"\n")) < 0 and len(line) <= limits.MAX_SHORT_REPLY:
            chunk = self._connection.receive()
            if not chunk:
                return bytes(line)
            line += chunk
        if end < 0 or end > limits.MAX_SHORT_REPLY:
            raise ProtocolError(
                f"{self._where}: the agent's reply is longer than {limits.MAX_SHORT_REPLY} bytes"
            )
        self._rest = bytes(line[end + 1 :])
        return bytes(line[:end])

    def copy(self, file: BinaryIO, size: int) -> None:
        """Write what follows the line: exactly size bytes, and then the end."""
        left = size
        chunk = self._rest
        while chunk or left > 0:
            chunk = chunk or self._connection.receive()
            if not chunk:
                raise ProtocolError(f"{self._where}: {left} of {size} bytes of the archive are missing")
            if len(chunk) > left:
                break
            file.write(chunk)
            left -= len(chunk)
            chunk = b""
        if chunk or self._connection.receive(1):
            raise ProtocolError(f"{self._where}: more came than the announced {size} bytes")


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of path if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".pyro-{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            yield file
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
