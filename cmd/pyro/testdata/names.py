"""Print what can be done with one of the faces of the Python SDK: modern, or drop-in."""

import inspect
import sys

import pyro_mcp
from pyro_mcp._sync import _live, _manage
from pyro_mcp.vm_guest import VsockExecClient

MODERN = (
    pyro_mcp.Client,
    pyro_mcp.Workspace,
    pyro_mcp.Files,
    pyro_mcp.Process,
    pyro_mcp.Shell,
    _live.Shells,
    pyro_mcp.Service,
    _live.Services,
    _manage.Snapshots,
    _manage.Secrets,
    _manage.Disk,
    VsockExecClient,
)


def members(face: type) -> list[str]:
    """Name the public methods and properties of a class."""
    return [
        name
        for name, member in inspect.getmembers(face)
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
    ]


if sys.argv[1] == "modern":
    for face in MODERN:
        print(*(f"{face.__name__}.{name}" for name in members(face)), sep="\n")
    print(*(n for n in pyro_mcp.__all__ if n[0] != "_" and not inspect.isclass(getattr(pyro_mcp, n))), sep="\n")
else:
    print(*members(pyro_mcp.Pyro), sep="\n")
