"""How the agent is reached: the bridge, AF_VSOCK, and neither."""

import errno
import socket
from pathlib import Path

import pytest
from fake_agent import FakeAgent, StubSocket, answering

from pyro_mcp.vm_guest import ProtocolError, UnsupportedError, VsockExecClient

VSOCK = 40
REPLY = b'{"stdout": "ok", "exit_code": 0}\n'


class Factory:
    """Makes one stub, and notes for what."""

    def __init__(self, stub: StubSocket) -> None:
        self.stub = stub
        self.made: list[tuple[int, int]] = []

    def __call__(self, family: int, kind: int) -> StubSocket:
        self.made.append((family, kind))
        return self.stub


@pytest.fixture
def vsock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "AF_VSOCK", VSOCK, raising=False)


@pytest.fixture
def no_vsock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_VSOCK", raising=False)


@pytest.mark.usefixtures("vsock")
def test_vsock_without_a_bridge() -> None:
    factory = Factory(StubSocket(REPLY))
    reply = VsockExecClient(factory).exec(1234, 5005, "echo ok", 30)
    assert reply.stdout == "ok"
    assert factory.made == [(VSOCK, socket.SOCK_STREAM)]
    assert factory.stub.address == (1234, 5005)
    assert b'"command": "echo ok"' in factory.stub.sent
    assert factory.stub.closed
    assert min(factory.stub.timeouts) > 0


@pytest.mark.usefixtures("vsock")
def test_bridge_wins_over_vsock() -> None:
    factory = Factory(StubSocket(b"OK 1\n" + REPLY))
    reply = VsockExecClient(factory).exec(1234, 5006, "x", 30, uds_path=Path("/run/v.sock"))
    assert reply.stdout == "ok"
    assert factory.made == [(socket.AF_UNIX, socket.SOCK_STREAM)]
    assert factory.stub.address == "/run/v.sock"
    assert factory.stub.sent.startswith(b"CONNECT 5006\n")
    assert factory.stub.closed


@pytest.mark.usefixtures("no_vsock")
@pytest.mark.parametrize("uds_path", [None, ""])
def test_no_transport(uds_path: str | None) -> None:
    factory = Factory(StubSocket(REPLY))
    for client in (VsockExecClient(), VsockExecClient(socket_factory=factory)):
        with pytest.raises(RuntimeError, match="not supported") as raised:
            client.exec(1234, 5005, "x", 30, uds_path=uds_path)
        assert isinstance(raised.value, UnsupportedError)
    assert factory.made == []


@pytest.mark.usefixtures("vsock")
def test_no_context_id_and_no_bridge() -> None:
    with pytest.raises(UnsupportedError, match="not supported"):
        VsockExecClient().exec(0, 5005, "x", 30)


@pytest.mark.usefixtures("vsock")
def test_kernel_without_vsock() -> None:
    def factory(_family: int, _kind: int) -> StubSocket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    with pytest.raises(UnsupportedError, match="not supported"):
        VsockExecClient(factory).exec(3, 5005, "x", 30)


@pytest.mark.usefixtures("vsock")
@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENODEV, UnsupportedError),
        (errno.ECONNREFUSED, ConnectionRefusedError),
        (errno.ETIMEDOUT, TimeoutError),
    ],
)
def test_vsock_that_cannot_be_connected(number: int, error: type[Exception]) -> None:
    factory = Factory(StubSocket(b"", OSError(number, "no")))
    with pytest.raises(error, match="vsock"):
        VsockExecClient(factory).exec(3, 5005, "x", 30)
    assert factory.stub.closed


def test_bridge_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.sock"
    with pytest.raises(FileNotFoundError) as raised:
        VsockExecClient().exec(0, 5005, "x", 30, uds_path=path)
    assert raised.value.filename == str(path)


@pytest.mark.parametrize(
    ("greeting", "quoted"),
    [
        (b"ERR no such port\n", "ERR no such port"),
        (b"OK\n", "OK"),
        (b"OKAY 5\n", "OKAY 5"),
        (b"OK " + b"1" * 200, "OK " + "1" * 29 + "' instead"),
        (b"\x1b[31m\n", r"\\x1b\[31m"),
        (b"\xff\n", r"xff"),
    ],
)
def test_bad_bridge_is_quoted(greeting: bytes, quoted: str) -> None:
    with FakeAgent(answering(REPLY), greeting=greeting) as agent, pytest.raises(ProtocolError, match=quoted):
        VsockExecClient().exec(0, 5005, "x", 30, uds_path=agent.path)


def test_bridge_that_hangs_up() -> None:
    with (
        FakeAgent(lambda _: None, greeting=b"") as agent,
        pytest.raises(ConnectionAbortedError, match="hung up"),
    ):
        VsockExecClient().exec(0, 5005, "x", 30, uds_path=agent.path)
