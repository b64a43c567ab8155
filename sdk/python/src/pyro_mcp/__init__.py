"""Client of pyro: disposable Linux workspaces for coding agents.

:mod:`pyro_mcp.vm_guest` talks to the agent inside a workspace.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
