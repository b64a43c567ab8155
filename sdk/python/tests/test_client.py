"""The client against a server that says whatever a test wants."""

import contextlib
import json
import os
import pickle
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_pyro import UPGRADED, Asked, FakePyro, answer, by_path, fixed

import pyro_mcp
from pyro_mcp._api import client as client_module
from pyro_mcp._api import errors, frames, limits
from pyro_mcp._api.client import Client
from pyro_mcp._api.question import Question

ID = "0123456789ab"


def status(control_socket: Path | None) -> bytes:
    return answer(
        json.dumps({"workspace_id": ID, "control_socket": control_socket and str(control_socket)}).encode()
    )


def failure(code: int, **fields: str) -> bytes:
    return answer(json.dumps({"ok": False, **fields}).encode(), code)


def test_answers_are_dicts_and_connections_are_kept(tmp_path: Path) -> None:
    with FakePyro(tmp_path / "s", fixed(answer(b'{"count": 0}'))) as fake:
        client = Client(fake.url)
        for _ in range(3):
            assert client.call("GET", "/v1/workspaces") == {"count": 0}
        assert fake.connections == 1
        client.close()


def test_bodies_and_queries_leave_out_what_is_none(tmp_path: Path) -> None:
    with FakePyro(tmp_path / "s", fixed(answer(b"{}"))) as fake:
        client = Client(fake.url, "tok")
        client.call("POST", "/v1/x", query={"a": 1, "b": None}, body={"c": "ü", "d": None})
        client.close()
    asked = fake.asked[0]
    assert (asked.method, asked.target) == ("POST", "/v1/x?a=1")
    assert json.loads(asked.body) == {"c": "ü"}
    assert asked.headers["authorization"] == "Bearer tok"
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("kind", "code", "builtins"),
    [
        ("invalid", 400, [ValueError]),
        ("not_found", 404, [ValueError]),
        ("exists", 409, [ValueError, RuntimeError]),
        ("conflict", 409, [RuntimeError]),
        ("expired", 410, [RuntimeError]),
        ("unsupported", 501, [RuntimeError]),
        ("unavailable", 503, [RuntimeError, ConnectionError, OSError]),
        ("timeout", 504, [RuntimeError, TimeoutError, OSError]),
        ("denied", 403, [RuntimeError]),
        ("canceled", 500, [RuntimeError]),
        ("internal", 500, [RuntimeError]),
        ("of_tomorrow", 500, [RuntimeError]),
    ],
)
def test_errors_by_kind(tmp_path: Path, kind: str, code: int, builtins: list[type[Exception]]) -> None:
    with FakePyro(tmp_path / "s", fixed(failure(code, error="it failed", kind=kind, hint="do that"))) as fake:
        client = Client(fake.url)
        with pytest.raises(pyro_mcp.PyroError) as caught:
            client.call("GET", "/v1/x", op="look")
        client.close()
    error = caught.value
    assert all(isinstance(error, builtin) for builtin in builtins)
    assert isinstance(error, ValueError) == (ValueError in builtins)
    assert (str(error), error.hint, error.op) == ("it failed", "do that", "look")
    assert error.kind == (kind if kind != "of_tomorrow" else "internal")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy), copy.hint) == (type(error), "it failed", "do that")


@pytest.mark.parametrize(
    ("raw", "known"),
    [
        (answer(b"<html>", 502), errors.UnavailableError),
        (answer(b"{}", 404), errors.NotFoundError),
        (answer(b'{"error": 5, "kind": []}', 500), errors.InternalError),
        (answer(b"[" * 100_000, 500), errors.InternalError),
        (answer(b"[]"), errors.InternalError),
        (answer(b"{"), errors.InternalError),
        (b"SSH-2.0-x\r\n\r\n", errors.InternalError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", errors.UnavailableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", errors.UnavailableError),
        (b"", errors.UnavailableError),
    ],
)
def test_other_answers_are_errors_of_a_kind(tmp_path: Path, raw: bytes, known: type[Exception]) -> None:
    def handle(asked: Asked) -> None:
        asked.peer.sock.sendall(raw)

    with FakePyro(tmp_path / "s", handle) as fake:
        client = Client(fake.url)
        with pytest.raises(known):
            client.call("GET", "/v1/x")


def test_answer_beyond_its_limit_is_refused(tmp_path: Path) -> None:
    with FakePyro(tmp_path / "s", fixed(answer(b'{"a": "' + b"x" * 5000 + b'"}'))) as fake:
        with pytest.raises(errors.InternalError, match="longer than 1000 bytes"):
            Client(fake.url).call("GET", "/v1/x", limit=1000)


def test_server_that_says_nothing_is_a_timeout(tmp_path: Path) -> None:
    silent = threading.Event()
    with FakePyro(tmp_path / "s", lambda _: bytes(silent.wait(20))) as fake:
        with pytest.raises(TimeoutError, match=r"no answer .* within 0\.05 s"):
            Client(fake.url).call("GET", "/v1/x", timeout=0.05)
        silent.set()


def test_nobody_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(errors.UnavailableError, match="nobody listens") as caught:
        Client(f"unix://{tmp_path}/s").call("GET", "/v1/x")
    assert "PYRO_URL" in caught.value.hint


def test_connection_that_was_ended_meanwhile_is_not_used(tmp_path: Path) -> None:
    def handle(asked: Asked) -> bytes | None:
        asked.peer.sock.sendall(answer(b"{}"))
        return None

    with FakePyro(tmp_path / "s", handle) as fake:
        client = Client(fake.url)
        for turn in range(3):
            client.call("POST", "/v1/x")
            for link in client.start_server()._idle:
                assert link.ready(10)[0], f"the server's end in turn {turn}"
        assert fake.connections == 3


def test_workspace_is_asked_at_its_own_socket(tmp_path: Path) -> None:
    with FakePyro(tmp_path / "w", fixed(answer(b'{"exit_code": 0}'))) as own:
        with FakePyro(tmp_path / "s", fixed(status(own.path))) as fake:
            client = Client(fake.url)
            for _ in range(3):
                client.workspace(ID).call("POST", "/exec", body={"command": "true"})
            client.close()
    assert [a.target for a in own.asked] == ["/v1/exec"] * 3
    assert [a.target for a in fake.asked] == [f"/v1/workspaces/{ID}"]


def test_server_is_asked_where_nobody_listens_at_the_socket(tmp_path: Path) -> None:
    gone = tmp_path / "w"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(gone))  # and does not listen
    replies = {
        f"GET /v1/workspaces/{ID}": status(gone),
        f"POST /v1/workspaces/{ID}/exec": answer(b'{"a": 1}'),
    }
    with FakePyro(tmp_path / "s", by_path(replies)) as fake:
        client = Client(fake.url)
        assert client.workspace(ID).call("POST", "/exec", body={}) == {"a": 1}
        client.close()


def test_socket_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replies = {f"POST /v1/workspaces/{ID}/exec": answer(b'{"a": 1}')}
    with FakePyro(tmp_path / "w", fixed(answer(b"{}"))) as own:
        replies[f"GET /v1/workspaces/{ID}"] = status(own.path)
        with FakePyro(tmp_path / "s", by_path(replies)) as fake:
            monkeypatch.setattr(client_module, "_is_ours", lambda _: False)
            client = Client(fake.url)
            assert client.workspace(ID).call("POST", "/exec", body={}) == {"a": 1}
            client.close()
        assert own.asked == []


def test_paths_that_a_far_machine_tells_are_not_used(tmp_path: Path) -> None:
    client = Client("http://127.0.0.1:1")
    client.learn({"workspace_id": ID, "control_socket": str(tmp_path)})
    assert client.known_socket(ID) is None


def test_upload_ends_with_an_early_answer(tmp_path: Path) -> None:
    sent: list[int] = []

    def handle(asked: Asked) -> bytes | None:
        raise AssertionError(asked)

    def endless() -> Any:
        while len(sent) < 100_000:
            sent.append(1)
            yield bytes(limits.CHUNK)

    refused = failure(413, error="too long", kind="invalid", hint="")

    class Early(FakePyro):
        def _serve(self, sock: socket.socket) -> None:
            sock.recv(65536)
            sock.sendall(refused)
            sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while sock.recv(1 << 20):
                    pass
            sock.close()

    with Early(tmp_path / "s", handle) as fake:
        client = Client(fake.url)
        with pytest.raises(ValueError, match="too long"):
            client.ask(Question("write", "PUT", "/v1/x"), endless)
    assert len(sent) < 1000


def test_failing_source_ends_the_upload(tmp_path: Path) -> None:
    def broken() -> Any:
        yield b"some"
        raise LookupError("no more")

    with FakePyro(tmp_path / "s", fixed(answer(b"{}"))) as fake, pytest.raises(LookupError):
        Client(fake.url).ask(Question("write", "PUT", "/v1/x"), broken)
    assert fake.asked == []  # its body had no end


def test_upgrade_gives_frames(tmp_path: Path) -> None:
    said = UPGRADED + frames.encode(frames.STDOUT, b"hi") + frames.encode_json(frames.EXIT, {"exit_code": 0})
    with FakePyro(tmp_path / "s", fixed(said)) as fake:
        stream = Client(fake.url).open(Question("exec", "POST", "/v1/exec", body=b"{}"))
        assert stream.receive().payload == b"hi"
        assert stream.receive().json() == {"exit_code": 0}
        stream.close()
    assert fake.asked[0].headers["upgrade"] == frames.PROTOCOL


@pytest.mark.parametrize(
    ("raw", "known"),
    [
        (failure(409, error="it is stopped", kind="conflict", hint="start it"), errors.ConflictError),
        (answer(b"{}"), errors.InternalError),
    ],
)
def test_upgrade_that_is_refused(tmp_path: Path, raw: bytes, known: type[Exception]) -> None:
    with FakePyro(tmp_path / "s", fixed(raw)) as fake, pytest.raises(known):
        Client(fake.url).open(Question("exec", "POST", "/v1/exec"))


def test_frames_that_are_cut_off_are_unavailable(tmp_path: Path) -> None:
    def handle(asked: Asked) -> None:
        asked.peer.sock.sendall(UPGRADED + frames.encode(frames.STDOUT, b"hi")[:-1])

    with FakePyro(tmp_path / "s", handle) as fake:
        stream = Client(fake.url).open(Question("exec", "POST", "/v1/exec"))
        with pytest.raises(errors.UnavailableError):
            stream.receive()
        stream.close()


def test_interrupt_ends_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def handle(asked: Asked) -> None:
        os.kill(os.getpid(), 2)
        assert asked.peer.sock.recv(1) == b""
        ended.set()

    with FakePyro(tmp_path / "s", handle) as fake:
        with pytest.raises(KeyboardInterrupt):
            Client(fake.url).call("POST", "/v1/exec", body={"command": "sleep 100"})
        assert ended.wait(20)


def test_many_threads_share_a_client(tmp_path: Path) -> None:
    def handle(asked: Asked) -> bytes:
        return answer(asked.body)

    got: list[Any] = []

    def each(number: int) -> Callable[[], None]:
        return lambda: got.append(client.call("POST", "/v1/x", body={"n": number})["n"] == number)

    with FakePyro(tmp_path / "s", handle) as fake:
        client = Client(fake.url)
        threads = [threading.Thread(target=each(number)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        client.close()
    assert got == [True] * 40


def test_child_of_a_fork_has_connections_of_its_own(tmp_path: Path) -> None:
    with FakePyro(tmp_path / "s", fixed(answer(b'{"a": 1}'))) as fake:
        client = Client(fake.url)
        client.call("GET", "/v1/x")
        child = os.fork()
        if child == 0:
            os._exit(0 if client.call("GET", "/v1/x") == {"a": 1} else 1)
        assert os.waitpid(child, 0)[1] == 0
        client.call("GET", "/v1/x")
        assert fake.connections == 2
        client.close()
