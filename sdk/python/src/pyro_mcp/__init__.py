"""Client of pyro: disposable Linux workspaces for coding agents.

    import pyro_mcp as pyro

    with pyro.workspace("host", seed=".") as ws:
        ws.run("make test", stream=True).check()

:mod:`pyro_mcp.aio` has the same names for asyncio, :mod:`pyro_mcp.models` the types of answers.
:class:`Pyro`, :class:`VmManager` and :func:`create_server` are those of the product that pyro
succeeds. :mod:`pyro_mcp.vm_guest` talks to the agent inside a workspace.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_mcp._api.errors import (
        CanceledError,
        ConflictError,
        DeniedError,
        ExistsError,
        ExpiredError,
        InternalError,
        InvalidError,
        NotFoundError,
        PyroError,
        PyroTimeoutError,
        UnavailableError,
        UnsupportedError,
    )
    from pyro_mcp._legacy.manager import VmManager
    from pyro_mcp._legacy.pyro import Pyro
    from pyro_mcp._models.live import ServiceError
    from pyro_mcp._models.workspace import CommandError, CommandResult
    from pyro_mcp._sync._client import Client
    from pyro_mcp._sync._files import Files
    from pyro_mcp._sync._live import Service, Shell
    from pyro_mcp._sync._process import Output, Process, Terminal
    from pyro_mcp._sync._top import (
        connect,
        doctor,
        environments,
        get,
        prepare,
        run,
        workspace,
        workspaces,
    )
    from pyro_mcp._sync._workspace import Workspace
    from pyro_mcp.server import create_server

__all__ = [
    "CanceledError",
    "Client",
    "CommandError",
    "CommandResult",
    "ConflictError",
    "DeniedError",
    "ExistsError",
    "ExpiredError",
    "Files",
    "InternalError",
    "InvalidError",
    "NotFoundError",
    "Output",
    "Process",
    "Pyro",
    "PyroError",
    "PyroTimeoutError",
    "Service",
    "ServiceError",
    "Shell",
    "Terminal",
    "UnavailableError",
    "UnsupportedError",
    "VmManager",
    "Workspace",
    "__version__",
    "connect",
    "create_server",
    "doctor",
    "environments",
    "get",
    "prepare",
    "run",
    "workspace",
    "workspaces",
]

__version__ = "0.1.0"

# A program that uses one face does not wait for the others to be read.
_HOMES = {
    "_api.errors": "CanceledError ConflictError DeniedError ExistsError ExpiredError InternalError"
    " InvalidError NotFoundError PyroError PyroTimeoutError UnavailableError UnsupportedError",
    "_legacy.manager": "VmManager",
    "_legacy.pyro": "Pyro",
    "_models.live": "ServiceError",
    "_models.workspace": "CommandError CommandResult",
    "_sync._client": "Client",
    "_sync._files": "Files",
    "_sync._live": "Service Shell",
    "_sync._process": "Output Process Terminal",
    "_sync._top": "connect doctor environments get prepare run workspace workspaces",
    "_sync._workspace": "Workspace",
    "server": "create_server",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
