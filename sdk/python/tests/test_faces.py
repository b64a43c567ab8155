"""Both faces against a server that says whatever a test wants."""

import asyncio
import importlib.util
import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_pyro import UPGRADED, Asked, FakePyro, answer

import pyro_mcp as pyro
from pyro_mcp import aio, models
from pyro_mcp._api import frames
from pyro_mcp._api.words import Capture, command_fields, publish_fields, readiness_fields, whole_seconds

ID = "0123456789ab"
PATIENCE = 20.0
GENERATOR = Path(__file__).parents[3] / "tools" / "python-faces.py"


def result(**fields: Any) -> dict[str, Any]:
    return {"workspace_id": ID, "command": "c", "exit_code": 0, **fields}


class Handler:
    """A pyro with one workspace, in which cat runs."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.running = threading.Event()

    def __call__(self, asked: Asked) -> bytes | None:
        below = asked.path.removeprefix(f"/v1/workspaces/{ID}")
        if asked.path == "/v1/workspaces" or not below:
            return answer(json.dumps({"workspace_id": ID, "state": "started", "deleted": True}).encode())
        if below == "/exec" and "upgrade" in asked.headers:
            return self.stream(asked, json.loads(asked.body))
        if below == "/exec":
            return self.capture(asked, json.loads(asked.body))
        if below == "/files":
            return self.list(asked)
        return answer(b'{"error": "no", "kind": "not_found", "hint": ""}', 404)

    def capture(self, asked: Asked, body: dict[str, Any]) -> bytes | None:
        if body.get("command") == "sleep":
            self.until_the_client_leaves(asked)
            return None
        return answer(json.dumps(result(stdout=json.dumps(body))).encode())

    def until_the_client_leaves(self, asked: Asked) -> None:
        self.running.set()
        assert asked.peer.sock.recv(1) == b""
        self.ended.set()

    def stream(self, asked: Asked, body: dict[str, Any]) -> bytes | None:
        sock = asked.peer.sock
        sock.sendall(UPGRADED)
        if body.get("command") == "sleep":
            self.until_the_client_leaves(asked)
            return None
        if body.get("command") == "fail":
            return frames.encode_json(
                frames.FAIL, {"error": "it is stopped", "kind": "conflict", "hint": "start"}
            )
        if body.get("command") == "cut":
            sock.sendall(frames.encode(frames.STDOUT, b"some"))
            return None
        if body.get("command") == "noise":  # while it reads nothing
            sock.sendall(frames.encode(frames.STDERR, bytes(1 << 20)) * 8)
        signals = []
        while body["stdin"]:
            frame = asked.peer.frame()
            if frame.type != frames.STDIN:
                signals.append(frame.json())
            elif frame.payload:
                sock.sendall(frames.encode(frames.STDOUT, frame.payload))
            else:
                break
        return frames.encode(frames.STDERR, json.dumps(signals).encode()) + frames.encode_json(
            frames.EXIT, result(exit_code=len(signals))
        )

    def list(self, asked: Asked) -> bytes:
        first = "after" not in asked.target
        entries = [{"path": "/workspace/a" if first else "/workspace/b"}]
        page = {"entries": entries, "truncated": first, "next_after": "/workspace/a" if first else None}
        return answer(json.dumps(page).encode())


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def url(tmp_path: Path, handler: Handler) -> Iterator[str]:
    with FakePyro(tmp_path / "s", handler) as fake:
        yield fake.url


@pytest.fixture
def ws(url: str) -> Iterator[pyro.Workspace]:
    with pyro.Client(url) as client, client.workspace("host") as workspace:
        yield workspace


def test_faces_have_the_same_names() -> None:
    for name in aio.__all__:
        waiting, other = getattr(pyro, name), getattr(aio, name)
        if inspect.isclass(waiting):
            assert [n for n in dir(waiting) if not n.startswith("_")] == [
                n for n in dir(other) if not n.startswith("_")
            ]
        elif callable(waiting):
            assert list(inspect.signature(waiting).parameters) == list(inspect.signature(other).parameters)


@pytest.mark.skipif(not GENERATOR.exists(), reason="the tool is not here")
def test_face_that_waits_is_made_of_the_other() -> None:
    spec = importlib.util.spec_from_file_location("python_faces", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.differing() == [], "run tools/python-faces.py"


def test_public_names_are_there() -> None:
    for name in pyro.__all__:
        assert getattr(pyro, name) is not None
        assert name in dir(pyro)
    with pytest.raises(AttributeError):
        pyro.of_tomorrow  # noqa: B018


def test_import_reads_only_what_is_used() -> None:
    src = str(Path(__file__).parents[1] / "src")
    program = (
        f"import sys; sys.path.insert(0, {src!r}); import pyro_mcp; from pyro_mcp._api.client import Client; "
        "Client('unix:///x'); slow = {'asyncio', 'ssl', 'tarfile', 'subprocess', 'dataclasses', 'inspect'}; "
        "print(*(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_run_asks_with_what_was_said(ws: pyro.Workspace) -> None:
    done = ws.run(["a", "b"], timeout=1.5, env={"K": "V"}, cwd="/tmp", secret_env={"S": "E"})  # noqa: S108
    assert json.loads(done.stdout) == {
        "argv": ["a", "b"],
        "timeout_seconds": 2,
        "env": {"K": "V"},
        "cwd": "/tmp",  # noqa: S108
        "secret_env": {"S": "E"},
    }
    assert json.loads(ws.run("line").stdout) == {"command": "line", "timeout_seconds": 30}


def test_run_feeds_and_streams(ws: pyro.Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[str, str]] = []
    text = "grüße\n" * 50_000
    done = ws.run("cat", stdin=text, stream=lambda name, piece: told.append((name, piece)))
    assert done.stdout == text
    assert "".join(piece for name, piece in told if name == "stdout") == text
    assert told[-1] == ("stderr", "[]")
    assert ws.run("cat", stdin=[b"a", b"b"], stream=True).stdout == "ab"
    assert capsys.readouterr() == ("ab", "[]")


@pytest.mark.parametrize("stdin", [None, "x"])
def test_run_tells_errors_of_the_stream(ws: pyro.Workspace, stdin: Any) -> None:
    with pytest.raises(pyro.ConflictError, match="it is stopped") as refused:
        ws.run("fail", stream=True, stdin=stdin)
    assert refused.value.hint == "start"
    with pytest.raises(pyro.UnavailableError, match="went away"):
        ws.run("cut", stream=True, stdin=stdin)


def test_process_is_talked_to(ws: pyro.Workspace) -> None:
    with ws.popen("cat", stdin=True) as process:
        process.write("hello\n")
        assert next(process) == pyro.Output("stdout", b"hello\n")
        process.signal("SIGusr1")
        process.resize(80, 24)
        process.close_stdin()
        assert process.wait().exit_code == 2
        process.kill()  # of what has ended is nothing
    with pytest.raises(ValueError, match="input has ended"):
        process.write("more")
    assert list(process) == []


def test_process_that_prints_much_while_it_is_written_to(ws: pyro.Workspace) -> None:
    with ws.popen("noise", stdin=True) as process:
        process.write(bytes(4 << 20))
        done = process.communicate(b"end")
    assert len(done.stderr) == 8 * (1 << 20) + len("[…]") + 2
    assert done.stderr_truncated
    assert done.stdout.endswith("end")


def test_process_gives_lines(ws: pyro.Workspace) -> None:
    with ws.popen("cat", stdin=True) as process:
        process.feed([b"a\r\nb", b"c\n", "ü".encode()[:1], "ü".encode()[1:]])
        assert sorted(process.lines()) == ["[]", "a", "bc", "ü"]


def test_process_that_is_left_is_ended(ws: pyro.Workspace, handler: Handler) -> None:
    with ws.popen("sleep") as process:
        assert handler.running.wait(PATIENCE)
    assert handler.ended.wait(PATIENCE)
    with pytest.raises(ValueError, match="closed"):
        next(process)
    with pytest.raises(ValueError, match="stdin=True"):
        process.write("x")


def test_lists_are_read_to_their_end(ws: pyro.Workspace) -> None:
    assert [entry.path for entry in ws.files.list()] == ["/workspace/a", "/workspace/b"]


def test_workspace_is_deleted_at_the_end_of_its_block_alone(tmp_path: Path, handler: Handler) -> None:
    with FakePyro(tmp_path / "s", handler) as fake, pyro.Client(fake.url) as client:
        with client.connect(ID) as workspace:
            assert workspace.info == client.get(ID)
        assert "DELETE" not in [asked.method for asked in fake.asked]
        with pytest.raises(LookupError), client.workspace("host"):
            raise LookupError
        assert fake.asked[-1].method == "DELETE"


def test_seed_is_sent_as_a_form(tmp_path: Path, handler: Handler) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/a.txt").write_text("hello")
    with FakePyro(tmp_path / "s", handler) as fake, pyro.Client(fake.url) as client:
        client.workspace("host", seed=tmp_path / "tree", name="n")
    asked = fake.asked[0]
    boundary = asked.headers["content-type"].partition("boundary=")[2].encode()
    empty, request, seed, skipped, end = asked.body.split(b"--" + boundary)
    assert (empty, end) == (b"", b"--\r\n")
    wanted = json.loads(request.partition(b"\r\n\r\n")[2])
    assert (wanted["name"], wanted["seed"]["mode"]) == ("n", "directory")
    assert b"a.txt" in seed
    assert skipped.strip().endswith(b"\r\n\r\n0")


def test_calls_of_asyncio_run_at_the_same_time(url: str) -> None:
    async def main() -> None:
        async with aio.Client(url) as client, client.workspace("host") as ws:
            done = await asyncio.gather(*(ws.run(f"n{number}") for number in range(100)))
        assert [json.loads(one.stdout)["command"] for one in done] == [f"n{number}" for number in range(100)]

    asyncio.run(main(), debug=True)


def test_canceled_task_ends_its_command(url: str, handler: Handler) -> None:
    async def main(stream: bool) -> None:
        ws = await aio.Client(url).connect(ID)
        handler.running.clear()
        handler.ended.clear()
        task = asyncio.create_task(ws.run("sleep", stream=stream))
        assert await asyncio.to_thread(handler.running.wait, PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(handler.ended.wait, PATIENCE)

    asyncio.run(main(False), debug=True)
    asyncio.run(main(True), debug=True)


def test_process_of_asyncio(url: str) -> None:
    async def main() -> None:
        ws = await aio.Client(url).connect(ID)
        async with ws.popen("noise", stdin=True) as process:
            await process.write(bytes(4 << 20))
            done = await process.communicate(b"end")
            assert done.stdout.endswith("end")
        done = await ws.run("cat", stdin="x" * 100_000)
        assert done.stdout == "x" * 100_000
        process = await ws.popen("cat", stdin=True)
        await process.write("a\n")
        assert (await process.__anext__()).text == "a\n"
        await process.close()
        for command, known in (("fail", pyro.ConflictError), ("cut", pyro.UnavailableError)):
            with pytest.raises(known):
                await ws.run(command, stream=True)

    asyncio.run(main(), debug=True)


def test_client_of_asyncio_works_with_any_loop(url: str) -> None:
    client = aio.Client(url)
    for _ in range(2):
        assert asyncio.run(client.get(ID)).workspace_id == ID


def test_errors_of_asyncio(tmp_path: Path, url: str) -> None:
    with pytest.raises(pyro.UnavailableError, match="nobody listens"):
        asyncio.run(aio.Client(f"unix://{tmp_path}/none").get(ID))
    with pytest.raises(pyro.NotFoundError):
        asyncio.run(aio.Client(url).doctor())


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda: command_fields([]), "command"),
        (lambda: command_fields([b"x"]), "command"),  # type: ignore[list-item]
        (lambda: whole_seconds("timeout", 0), "timeout is 0"),
        (lambda: whole_seconds("timeout", float("nan")), "timeout"),
        (lambda: readiness_fields({}), "ready"),
        (lambda: readiness_fields({"tcp": "a", "http": "b"}), "ready"),
        (lambda: readiness_fields({"smoke": "a"}), "ready"),
    ],
)
def test_what_cannot_be_asked_is_refused_here(refused: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        refused()


def test_ports_are_published() -> None:
    assert publish_fields([80, (8080, 81)]) == [{"guest_port": 80}, {"host_port": 8080, "guest_port": 81}]
    assert publish_fields([]) is None


@pytest.mark.parametrize("sizes", [[10], [5, 5], [1] * 10, [11], [3, 9], [1] * 40, [100]])
def test_capture_keeps_head_and_tail(sizes: list[int]) -> None:
    data = bytes(range(65, 65 + 26)) * 4
    capture = Capture(10)
    at = 0
    for size in sizes:
        capture.add(data[at : at + size])
        at += size
    text = capture.text()
    if at <= 10:
        assert (text, capture.truncated) == (data[:at].decode(), False)
    else:
        assert (text, capture.truncated) == (f"{data[:5].decode()}\n[…]\n{data[at - 5 : at].decode()}", True)


def test_service_error_says_why() -> None:
    service = models.ServiceInfo.of({"service_name": "web", "state": "failed", "error": "no port"})
    assert str(pyro.ServiceError(service)) == "service web is failed: no port"
