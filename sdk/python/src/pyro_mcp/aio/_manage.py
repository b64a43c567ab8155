"""Secrets, snapshots and the disk of a workspace."""

import os

from pyro_mcp._api import limits
from pyro_mcp._api.face_async import ApiClient, ApiWorkspace, apart
from pyro_mcp._api.http1 import segment
from pyro_mcp._models.diff import Snapshot, SnapshotCreate, SnapshotDelete, SnapshotList
from pyro_mcp._models.files import DiskExport, DiskList, DiskRead, FileEntry
from pyro_mcp._models.live import SecretList
from pyro_mcp._models.workspace import Secret
from pyro_mcp.aio._ask import Query, ask


class Secrets:
    """The secrets of a workspace. Their values are in no answer."""

    def __init__(self, at: ApiWorkspace) -> None:
        self._at = at

    async def list(self) -> tuple[Secret, ...]:
        """Name the secrets, whether the workspace runs or not."""
        return (await ask(SecretList, self._at, "list secrets", "GET /secrets")).secrets

    async def set(self, name: str, value: str) -> tuple[Secret, ...]:
        """Set one, which is a file in /run/pyro-secrets then, and return what there is."""
        body = {"value": value, "source_kind": "literal"}
        now = await ask(SecretList, self._at, "set secret", f"PUT /secrets/{segment(name)}", body=body)
        return now.secrets

    async def unset(self, name: str) -> tuple[Secret, ...]:
        """Take one away, and return what there is."""
        now = await ask(SecretList, self._at, "unset secret", f"DELETE /secrets/{segment(name)}")
        return now.secrets


class Snapshots:
    """The snapshots of a workspace."""

    def __init__(self, at: ApiWorkspace) -> None:
        self._at = at

    async def list(self) -> tuple[Snapshot, ...]:
        """Return the baseline, and the snapshots, the newest first."""
        return (await ask(SnapshotList, self._at, "list snapshots", "GET /snapshots")).snapshots

    async def create(self, name: str) -> Snapshot:
        """Save the disk under a name, all of it. What runs goes on."""
        body = {"snapshot_name": name}
        made = await ask(
            SnapshotCreate, self._at, "create snapshot", "POST /snapshots", body=body, within=limits.SAVE
        )
        return made.snapshot

    async def delete(self, name: str) -> SnapshotDelete:
        """Remove one, whether the workspace runs or not."""
        client: ApiClient = self._at.client
        route = f"DELETE /v1/workspaces/{segment(self._at.id)}/snapshots/{segment(name)}"
        return await ask(SnapshotDelete, client, "delete snapshot", route, within=limits.SAVE)


class Disk:
    """The disk of a workspace that is stopped. Paths are those of the guest."""

    def __init__(self, at: ApiWorkspace) -> None:
        self._at = at

    async def list(self, path: str = "/workspace", *, recursive: bool = False) -> tuple[FileEntry, ...]:
        """List a directory, at most 100,000 entries."""
        query: Query = {"path": path, "recursive": recursive}
        found = await ask(
            DiskList,
            self._at,
            "list disk",
            "GET /disk/list",
            query=query,
            within=limits.LIST,
            limit=limits.LIST_REPLY,
        )
        return found.entries

    async def read(self, path: str, *, max_bytes: int = 65536) -> DiskRead:
        """Read the beginning of a file."""
        query: Query = {"path": path, "max_bytes": max_bytes}
        return await ask(
            DiskRead,
            self._at,
            "read disk",
            "GET /disk/read",
            query=query,
            within=limits.LIST,
            limit=limits.DISK_REPLY,
        )

    async def export(self, output: str | os.PathLike[str], *, path: str = "/workspace") -> DiskExport:
        """Write a path of the disk as a tar archive to a file that is not there yet."""
        from pyro_mcp._trees import transfer

        base = self._at.base
        return DiskExport.of(await apart(lambda: transfer.disk_export(base, path, output)))
