"""The client, put together from its parts."""

from pyro_mcp._guest.archives import Archives
from pyro_mcp._guest.commands import Commands
from pyro_mcp._guest.files import Files
from pyro_mcp._guest.services import Services
from pyro_mcp._guest.shells import Shells


class VsockExecClient(Commands, Archives, Files, Shells, Services):
    """Talks to the agent inside a sandbox.

    Every call makes a connection of its own and closes it; calls may be concurrent. With
    ``uds_path`` it goes over the unix socket of a bridge (``CONNECT port``), else to
    ``guest_cid`` over AF_VSOCK. ``socket_factory`` makes the sockets, ``socket.socket``
    where it is not given.

    ``timeout_seconds`` bounds each call as a whole; where an archive is sent or fetched,
    it bounds the time without progress, and the size adds to the whole.

    Errors: :class:`AgentError` for what the agent could not do, :class:`ProtocolError` for
    a reply that is none, :class:`UnsupportedError` without a way to the agent (all three
    are RuntimeErrors); TimeoutError and other OSErrors of the connection; ValueError for
    arguments that cannot be sent. Nothing is ever sent twice.
    """
