"""Direct talk with the agent inside a sandbox, without the supervisor in between.

The agent is one of pyro (the ``agent_socket`` of a workspace that runs), or any other
that speaks the same protocol on vsock port 5005. What is done here stands in no
workspace's history. Nothing in a reply is proven: the guest wrote it.
"""

from pyro_mcp._guest.client import VsockExecClient
from pyro_mcp._guest.errors import AgentError, ProtocolError, UnsupportedError
from pyro_mcp._guest.results import (
    GuestArchiveExportResponse,
    GuestArchiveResponse,
    GuestDeleteResponse,
    GuestEntry,
    GuestExecResponse,
    GuestListResponse,
    GuestServiceLogsResponse,
    GuestServiceResponse,
    GuestShellCloseResponse,
    GuestShellReadResponse,
    GuestShellSignalResponse,
    GuestShellSummary,
    GuestShellWriteResponse,
    GuestWorkspaceFileReadResponse,
    GuestWorkspaceFileWriteResponse,
)
from pyro_mcp._guest.transport import SocketFactory, SocketLike

__all__ = [
    "AgentError",
    "GuestArchiveExportResponse",
    "GuestArchiveResponse",
    "GuestDeleteResponse",
    "GuestEntry",
    "GuestExecResponse",
    "GuestListResponse",
    "GuestServiceLogsResponse",
    "GuestServiceResponse",
    "GuestShellCloseResponse",
    "GuestShellReadResponse",
    "GuestShellSignalResponse",
    "GuestShellSummary",
    "GuestShellWriteResponse",
    "GuestWorkspaceFileReadResponse",
    "GuestWorkspaceFileWriteResponse",
    "ProtocolError",
    "SocketFactory",
    "SocketLike",
    "UnsupportedError",
    "VsockExecClient",
]
