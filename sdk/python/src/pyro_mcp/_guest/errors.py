"""What can go wrong between host and agent, beside what sockets raise themselves."""


class AgentError(RuntimeError):
    """The agent could not do what it was asked, and said why.

    The text is the agent's own, of at most 4 KiB. ``kind`` is one of pyro's kinds of
    error, or empty where the agent named none.
    """

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.kind = kind


class ProtocolError(RuntimeError):
    """The other side did not keep to the protocol."""


class UnsupportedError(RuntimeError):
    """There is no way from here to the agent: no bridge is given, and no vsock is there."""
