"""What all groups of calls have in common."""

from typing import Any

from pyro_mcp._api import limits
from pyro_mcp._api.client import WorkspaceClient
from pyro_mcp._api.http1 import QueryValue, segment
from pyro_mcp._legacy import checks
from pyro_mcp._legacy.manager import VmManager

JSON = dict[str, Any]


def workspace_path(workspace_id: str, below: str = "") -> str:
    """Return the path of a workspace at the server."""
    return f"/v1/workspaces/{segment(checks.text('workspace id', workspace_id))}{below}"


class Face:
    """A group of calls."""

    _manager: VmManager

    def _inside(
        self,
        op: str,
        workspace_id: str,
        method: str,
        path: str,
        *,
        query: dict[str, QueryValue] | None = None,
        body: JSON | None = None,
        within: float = limits.ANSWER,
        limit: int = limits.REPLY,
    ) -> JSON:
        """Ask a workspace itself, on the shortest way to it."""
        return self._workspace(workspace_id).call(
            method, path, query=query, body=body, timeout=within, op=op, limit=limit
        )

    def _workspace(self, workspace_id: str) -> WorkspaceClient:
        return self._manager.client.workspace(checks.text("workspace id", workspace_id))
