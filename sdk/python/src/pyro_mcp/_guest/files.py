"""Files in the workspace. Paths are at or below /workspace."""

import base64
import os

from pyro_mcp._guest import limits
from pyro_mcp._guest.decode import Fields
from pyro_mcp._guest.errors import ProtocolError
from pyro_mcp._guest.exchange import Caller, Request, peer_of
from pyro_mcp._guest.results import (
    GuestDeleteResponse,
    GuestEntry,
    GuestListResponse,
    GuestWorkspaceFileReadResponse,
    GuestWorkspaceFileWriteResponse,
)

_ARTIFACTS = ("file", "directory", "symlink")


class Files(Caller):
    """The calls for files."""

    def list_workspace_entries(
        self,
        guest_cid: int,
        port: int,
        *,
        workspace_path: str = "/workspace",
        recursive: bool = False,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestListResponse:
        """List a directory, with ``recursive`` all that is below it."""
        request = Request(
            "list_workspace",
            {"path": workspace_path, "recursive": recursive},
            timeout=timeout_seconds,
            limit=limits.MAX_LIST_REPLY,
            has_list=True,
        )
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        return GuestListResponse(
            path=reply.text("path", workspace_path),
            artifact_type=reply.one_of("artifact_type", "directory", _ARTIFACTS),
            entries=[_entry(item) for item in reply.objects("entries")],
        )

    def read_workspace_file(
        self,
        guest_cid: int,
        port: int,
        *,
        workspace_path: str,
        max_bytes: int = limits.MAX_FILE,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestWorkspaceFileReadResponse:
        """Read a regular file of at most max_bytes bytes; 1 MiB is the most that is allowed."""
        if not 1 <= max_bytes <= limits.MAX_FILE:
            raise ValueError(f"max_bytes is {max_bytes}, allowed are 1 to {limits.MAX_FILE}")
        request = Request(
            "read_workspace_file",
            {"path": workspace_path, "max_bytes": max_bytes},
            timeout=timeout_seconds,
            limit=limits.MAX_SHORT_REPLY + 4 * (max_bytes // 3 + 1),
        )
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        content = _content(reply, max_bytes)
        return GuestWorkspaceFileReadResponse(
            path=reply.text("path", workspace_path), size_bytes=len(content), content_bytes=content
        )

    def write_workspace_file(
        self,
        guest_cid: int,
        port: int,
        *,
        workspace_path: str,
        text: str,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestWorkspaceFileWriteResponse:
        """Replace a regular file by text of at most 1 MiB, or make one."""
        fields = {"path": workspace_path, "text": text}
        request = Request("write_workspace_file", fields, timeout=timeout_seconds)
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        return GuestWorkspaceFileWriteResponse(
            path=reply.text("path", workspace_path),
            size_bytes=reply.count("size_bytes"),
            bytes_written=reply.count("bytes_written"),
        )

    def delete_workspace_path(
        self,
        guest_cid: int,
        port: int,
        *,
        workspace_path: str,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestDeleteResponse:
        """Remove a file or a symbolic link."""
        request = Request("delete_workspace_path", {"path": workspace_path}, timeout=timeout_seconds)
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        return GuestDeleteResponse(
            path=reply.text("path", workspace_path), deleted=reply.flag("deleted", default=True)
        )


def _entry(item: Fields) -> GuestEntry:
    path = item.text("path")
    if not path:
        raise ProtocolError(f"{item.where} has no path")
    return GuestEntry(
        path=path,
        artifact_type=item.one_of("artifact_type", "", _ARTIFACTS),
        size_bytes=item.count("size_bytes"),
        link_target=item.maybe_text("link_target"),
    )


def _content(reply: Fields, max_bytes: int) -> bytes:
    text = reply.maybe_text("content_b64")
    if text is None:
        raise ProtocolError(f"{reply.where}: the agent's reply is a JSON object without content_b64")
    content = _decode(text)
    # The decoder forgives what a strict one would not; only one text stands for a content.
    if content is None or base64.b64encode(content).decode("ascii") != text:
        raise ProtocolError(f"{reply.where}: the agent's reply is a JSON object with a bad content_b64")
    said = reply.count("size_bytes", len(content))
    if len(content) > max_bytes or said != len(content):
        raise ProtocolError(
            f"{reply.where}: the agent's reply has {len(content)} bytes of content and says {said}, "
            f"asked were {max_bytes}"
        )
    return content


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
