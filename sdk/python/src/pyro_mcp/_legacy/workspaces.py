"""Workspaces as a whole, commands in them, snapshots and disks."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from pyro_mcp._api import limits
from pyro_mcp._api.http1 import segment
from pyro_mcp._legacy import checks
from pyro_mcp._legacy.defaults import MEM_MIB, TTL_SECONDS, VCPU_COUNT
from pyro_mcp._legacy.face import JSON, Face, workspace_path
from pyro_mcp._legacy.machines import sandbox
from pyro_mcp._trees import transfer


class Workspaces(Face):
    """Workspaces, and commands in them."""

    def create_workspace(
        self,
        *,
        environment: str,
        vcpu_count: int = VCPU_COUNT,
        mem_mib: int = MEM_MIB,
        ttl_seconds: int = TTL_SECONDS,
        network_policy: str = "off",
        allow_host_compat: bool = False,
        seed_path: str | PathLike[str] | None = None,
        secrets: Sequence[Mapping[str, Any]] | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> JSON:
        """Make and start a workspace, with what is in a directory or tar archive of this machine.

        Each of the secrets has ``name``, and either ``value`` or ``file_path``.
        """
        wanted = sandbox(environment, vcpu_count, mem_mib, ttl_seconds)
        wanted["network_policy"] = checks.text("network_policy", network_policy).strip().lower()
        if name is not None:
            wanted["name"] = checks.text("name", name)
        if labels:
            wanted["labels"] = checks.texts("labels", labels)
        if given := checks.secrets(secrets):
            wanted["secrets"] = given
        manager = self._manager
        wanted = manager.with_engine(wanted, allow_host_compat=allow_host_compat)
        seed = None if seed_path is None else transfer.source(seed_path)
        made = transfer.create(manager.client, wanted, seed)
        manager.note_consent(made.get("workspace_id"), given=allow_host_compat)
        manager.client.learn(made)
        return made

    def list_workspaces(self) -> JSON:
        """List workspaces, the most recently used first."""
        return self._manager.ask(
            "list workspaces", "GET", "/v1/workspaces", within=limits.LIST, limit=limits.LIST_REPLY
        )

    def update_workspace(
        self,
        workspace_id: str,
        *,
        name: str | None = None,
        clear_name: bool = False,
        labels: Mapping[str, str] | None = None,
        clear_labels: Sequence[str] | None = None,
    ) -> JSON:
        """Change the name and the labels."""
        wanted: JSON = {"name": name, "labels": checks.texts("labels", labels)}
        if clear_name:
            wanted["clear_name"] = True
        if clear_labels is not None:
            wanted["clear_labels"] = [checks.text("label", one) for one in clear_labels]
        return self._whole("update workspace", "PATCH", workspace_id, body=wanted)

    def status_workspace(self, workspace_id: str) -> JSON:
        """Return a workspace as it is."""
        return self._whole("status of workspace", "GET", workspace_id)

    def stop_workspace(self, workspace_id: str) -> JSON:
        """Save the disk and end what runs."""
        return self._whole("stop workspace", "POST", workspace_id, "/stop", body={}, within=limits.SAVE)

    def start_workspace(self, workspace_id: str) -> JSON:
        """Start a stopped workspace with its disk."""
        consent = self._manager.consent(workspace_id)
        return self._whole(
            "start workspace", "POST", workspace_id, "/start", body=consent, within=limits.CREATE
        )

    def delete_workspace(self, workspace_id: str) -> JSON:
        """End all that runs in a workspace and remove it."""
        path = workspace_path(workspace_id)
        deleted = self._manager.ask("delete workspace", "DELETE", path, within=limits.SAVE)
        self._manager.client.forget(workspace_id)
        return deleted

    def exec_workspace(
        self,
        workspace_id: str,
        *,
        command: str,
        timeout_seconds: int = 30,
        secret_env: Mapping[str, str] | None = None,
    ) -> JSON:
        """Run a line of the shell in /workspace. ``secret_env`` has variables by names of secrets."""
        wanted = {
            "command": checks.text("command", command),
            "timeout_seconds": checks.positive("timeout_seconds", timeout_seconds),
            "secret_env": checks.texts("secret_env", secret_env),
        }
        within = timeout_seconds + limits.EXEC_MARGIN
        return self._inside(
            "exec", workspace_id, "POST", "/exec", body=wanted, within=within, limit=limits.CAPTURE
        )

    def logs_workspace(self, workspace_id: str) -> JSON:
        """List the commands that ran, with what they printed."""
        return self._inside("logs", workspace_id, "GET", "/logs", within=limits.LOGS, limit=limits.LOGS_REPLY)

    def summarize_workspace(self, workspace_id: str) -> JSON:
        """Sum up what was done since the workspace was made or reset."""
        return self._inside("summary", workspace_id, "GET", "/summary", within=limits.LIST)

    def _whole(
        self,
        op: str,
        method: str,
        workspace_id: str,
        below: str = "",
        *,
        body: JSON | None = None,
        within: float = limits.LIST,
    ) -> JSON:
        """Ask the server about a whole workspace, whose socket may then be another."""
        path = workspace_path(workspace_id, below)
        now = self._manager.ask(op, method, path, body=body, within=within)
        self._manager.client.learn(now)
        return now


class Snapshots(Face):
    """States to go back to, and what a stopped workspace has on its disk."""

    def create_snapshot(self, workspace_id: str, snapshot_name: str) -> JSON:
        """Save the disk under a name."""
        wanted = {"snapshot_name": _name(snapshot_name)}
        return self._inside(
            "create snapshot", workspace_id, "POST", "/snapshots", body=wanted, within=limits.SAVE
        )

    def list_snapshots(self, workspace_id: str) -> JSON:
        """List the baseline and the snapshots, the newest first."""
        return self._inside("list snapshots", workspace_id, "GET", "/snapshots")

    def delete_snapshot(self, workspace_id: str, snapshot_name: str) -> JSON:
        """Remove a snapshot."""
        path = workspace_path(workspace_id, f"/snapshots/{segment(_name(snapshot_name))}")
        return self._manager.ask("delete snapshot", "DELETE", path, within=limits.SAVE)

    def reset_workspace(self, workspace_id: str, *, snapshot: str = "baseline") -> JSON:
        """Go back to a snapshot, with a new sandbox."""
        wanted = {"snapshot": _name(snapshot), **self._manager.consent(workspace_id)}
        path = workspace_path(workspace_id, "/reset")
        now = self._manager.ask("reset workspace", "POST", path, body=wanted, within=limits.CREATE)
        self._manager.client.learn(now)
        return now

    def export_workspace_disk(self, workspace_id: str, *, output_path: str | PathLike[str]) -> JSON:
        """Write /workspace of a stopped workspace's disk to a new tar archive of this machine."""
        return transfer.disk_export(self._workspace(workspace_id), "/workspace", output_path)

    def list_workspace_disk(
        self, workspace_id: str, *, path: str = "/workspace", recursive: bool = False
    ) -> JSON:
        """List a directory of a stopped workspace's disk."""
        return self._manager.ask(
            "list disk",
            "GET",
            workspace_path(workspace_id, "/disk/list"),
            query={"path": checks.text("path", path), "recursive": bool(recursive)},
            within=limits.CREATE,
            limit=limits.LIST_REPLY,
        )

    def read_workspace_disk(self, workspace_id: str, path: str, *, max_bytes: int = 65536) -> JSON:
        """Read the beginning of a file on a stopped workspace's disk."""
        return self._manager.ask(
            "read disk",
            "GET",
            workspace_path(workspace_id, "/disk/read"),
            query={"path": checks.text("path", path), "max_bytes": checks.positive("max_bytes", max_bytes)},
            within=limits.CREATE,
            limit=limits.DISK_REPLY,
        )


def _name(snapshot: str) -> str:
    return checks.text("snapshot name", snapshot).strip()
