"""All calls in one object."""

from os import PathLike

from pyro_mcp._legacy.defaults import MAX_ACTIVE_VMS
from pyro_mcp._legacy.files import Files
from pyro_mcp._legacy.live import Services, Shells
from pyro_mcp._legacy.machines import Environments, Machines
from pyro_mcp._legacy.manager import VmManager
from pyro_mcp._legacy.workspaces import Snapshots, Workspaces
from pyro_mcp.server import McpServer, create_server


class Pyro(Environments, Machines, Workspaces, Snapshots, Files, Shells, Services):
    """The workspaces of a machine, by the calls of the product that pyro succeeds.

    Without a ``manager`` one is made from the other arguments, see :class:`VmManager`. The
    calls wait for their end and return the API's JSON as dicts. One object can be used by
    several threads.
    """

    def __init__(
        self,
        manager: VmManager | None = None,
        *,
        backend_name: str | None = None,
        base_dir: str | PathLike[str] | None = None,
        cache_dir: str | PathLike[str] | None = None,
        max_active_vms: int = MAX_ACTIVE_VMS,
    ) -> None:
        self._manager = manager or VmManager(
            backend_name=backend_name,
            base_dir=base_dir,
            cache_dir=cache_dir,
            max_active_vms=max_active_vms,
        )

    @property
    def manager(self) -> VmManager:
        """What this was made with."""
        return self._manager

    def create_server(
        self,
        *,
        profile: str = "workspace-full",
        mode: str | None = None,
        project_path: str | PathLike[str] | None = None,
        repo_url: str | None = None,
        repo_ref: str | None = None,
        no_project_source: bool = False,
    ) -> McpServer:
        """Return a server for agents, see :func:`pyro_mcp.create_server`."""
        return create_server(
            self._manager,
            profile=profile,
            mode=mode,
            project_path=project_path,
            repo_url=repo_url,
            repo_ref=repo_ref,
            no_project_source=no_project_source,
        )
