"""The face of :mod:`pyro_mcp` for asyncio: the same names, to be awaited.

    from pyro_mcp import aio as pyro

    async with pyro.workspace("host", seed=".") as ws:
        (await ws.run("make test", stream=True)).check()

What makes something (a workspace, a process, a shell, a service) can be awaited, or entered
with ``async with``. Calls are on streams of the event loop. What reads or writes files of this
machine (seeds, pushes, exports, uploads and downloads) does so on a thread.
"""

from pyro_mcp.aio._client import Client
from pyro_mcp.aio._files import Files
from pyro_mcp.aio._live import Service, Shell
from pyro_mcp.aio._process import Output, Process, Terminal
from pyro_mcp.aio._top import connect, doctor, environments, get, prepare, run, workspace, workspaces
from pyro_mcp.aio._workspace import Workspace

__all__ = [
    "Client",
    "Files",
    "Output",
    "Process",
    "Service",
    "Shell",
    "Terminal",
    "Workspace",
    "connect",
    "doctor",
    "environments",
    "get",
    "prepare",
    "run",
    "workspace",
    "workspaces",
]
