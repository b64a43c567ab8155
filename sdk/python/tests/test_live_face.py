"""Both faces against workspaces that PYRO_BINARY makes.

Without PYRO_BINARY, or where it can start no workspace, this is skipped, and fails if
PYRO_REQUIRE has the word gvisor.
"""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from test_live import lacking

import pyro_mcp as pyro
from pyro_mcp import aio
from pyro_mcp._api import server

PATIENCE = 60.0  # seconds


@pytest.fixture(scope="module")
def top() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pyro") as name:  # a test's own is too long for sockets
        Path(name).chmod(0o711)  # a sandbox's user is not root
        yield Path(name)


@pytest.fixture(scope="module")
def environment(top: Path) -> Iterator[dict[str, str]]:
    binary = os.environ.get("PYRO_BINARY")
    if not binary:
        lacking("PYRO_BINARY names no pyro")
    told = {"PYRO_BINARY": binary, "PYRO_STATE_DIR": f"{top}/s", "PYRO_RUN_DIR": f"{top}/r", "PYRO_URL": ""}
    yield told
    server.private(told).close()


@pytest.fixture(scope="module")
def client(environment: dict[str, str]) -> Iterator[pyro.Client]:
    with pyro.Client(environment=environment) as client:
        yield client


@pytest.fixture(scope="module")
def ws(client: pyro.Client) -> Iterator[pyro.Workspace]:
    try:
        workspace = client.workspace("host")
    except pyro.PyroError as e:
        lacking(e)
    with workspace:
        yield workspace
    assert client.workspaces() == ()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "sub").mkdir(parents=True)
    (top / "a.txt").write_text("hello\n")
    (top / "sub" / "data").write_bytes(bytes(range(256)) * 4096)
    (top / "link").symlink_to("a.txt")
    (top / ("n" * 150)).write_text("long")
    (top / os.fsdecode(b"x\xff")).write_text("bytes")
    os.link(top / "a.txt", top / "sub" / "hard")
    return top


def until(ask: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not ask():
        assert time.monotonic() < end


async def until_async(ask: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + PATIENCE
    while not await ask():
        assert time.monotonic() < end


def names(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*")}


def test_commands(ws: pyro.Workspace) -> None:
    done = ws.run("echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.exit_code, done.ok) == ("out\n", "err\n", 3, False)
    with pytest.raises(pyro.CommandError, match="ended with 3: err"):
        done.check()
    assert ws.run(["printf", "%s", "a b"], env={"X": "1"}, cwd="/").check().stdout == "a b"
    assert ws.run("cat", stdin="x" * 1_000_000).stdout == "x" * 1_000_000
    assert ws.run("sleep 1000", timeout=1).timed_out


def test_output_is_told_as_it_comes(ws: pyro.Workspace) -> None:
    told: list[str] = []

    def tell(_: str, text: str) -> None:
        told.append(text)
        ws.files.write("seen", text)

    line = "echo one; while ! grep -q one seen 2>/dev/null; do :; done; echo two"
    assert ws.run(line, stream=tell).check().stdout == "one\ntwo\n"
    assert told == ["one\n", "two\n"]


def test_process(ws: pyro.Workspace) -> None:
    with ws.popen(
        "trap 'echo got' USR1; echo ready; while read -r l; do echo $l; done; exit 4", stdin=True
    ) as p:
        assert next(p).text == "ready\n"
        p.write("hello\n")
        assert next(p) == pyro.Output("stdout", b"hello\n")
        p.signal("USR1")
        assert next(p).text == "got\n"
        p.close_stdin()
        assert p.wait().exit_code == 4
    with ws.popen("stty size; read x; stty size", tty=(90, 20)) as p:
        assert next(p).text == "20 90\r\n"
        p.resize(100, 30)
        p.write("\n")
        assert "30 100" in list(p.lines())


def gone(ws: pyro.Workspace, file: str) -> None:
    until(lambda: ws.run(f"kill -0 $(cat {file})").exit_code != 0)


def test_process_that_is_left_is_killed(ws: pyro.Workspace) -> None:
    with ws.popen("sleep 1000 & echo $! > left; wait", timeout=1000):
        until(lambda: ws.files.exists("left"))
    gone(ws, "left")


def test_interrupt_kills_the_command(ws: pyro.Workspace) -> None:
    def interrupt() -> None:
        until(lambda: ws.files.exists("interrupted"))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        ws.run("echo $$ > interrupted; exec sleep 1000", timeout=1000)
    thread.join(PATIENCE)
    gone(ws, "interrupted")


def test_files(ws: pyro.Workspace, tmp_path: Path) -> None:
    files = ws.files
    assert files.write("d/text", "grüße", mode=0o600).created
    assert files.read("d/text") == "grüße"
    assert (files.stat("d/text").mode, files.stat("d").artifact_type) == ("0600", "directory")
    with pytest.raises(pyro.ExistsError):
        files.write("d/text", "", exclusive=True)
    data = os.urandom(3 << 20)
    (tmp_path / "data").write_bytes(data)
    files.upload(tmp_path / "data", "d/data")
    assert files.read_bytes("d/data") == data
    assert files.read_bytes("d/data", offset=5, length=7) == data[5:12]
    assert files.download("d/data", tmp_path / "back").size_bytes == len(data)
    assert (tmp_path / "back").read_bytes() == data
    assert files.read_part("d/data", offset=3, max_bytes=4).bytes_read == 4
    files.mkdir("d/x/y", parents=True)
    files.move("d/data", "d/x/y/data")
    assert [e.path for e in files.list("d", recursive=True)] == [
        f"/workspace/d/{name}" for name in ("text", "x", "x/y", "x/y/data")
    ]
    files.delete("d", recursive=True)
    assert not files.exists("d")
    with pytest.raises(pyro.NotFoundError):
        files.read("d/text")
    with pytest.raises(ValueError, match=r"\.\."):
        files.write("../x", "")


def test_trees_go_in_and_out(client: pyro.Client, tree: Path, tmp_path: Path) -> None:
    with client.workspace("host", seed=tree, exclude=["n*"]) as ws:
        assert ws.info.workspace_seed.mode == "directory"
        assert not ws.diff().changed
        ws.run("mkdir new; echo more >> a.txt; cp -r sub new/; mkdir .git; echo x > .git/config").check()
        done = ws.export(".", tmp_path / "out")
        assert (tmp_path / "out/a.txt").read_text() == "hello\nmore\n"
        assert (tmp_path / "out/new/sub/data").read_bytes() == (tree / "sub/data").read_bytes()
        assert (tmp_path / "out/link").readlink() == Path("a.txt")
        assert (tmp_path / "out/a.txt").samefile(tmp_path / "out/sub/hard")
        assert os.fsdecode(b"x\xff") in names(tmp_path / "out")
        assert ".git/config" not in names(tmp_path / "out")
        assert (done.skipped, len(done.warnings)) == (1, 1)
        assert ws.export("a.txt", tmp_path / "one").artifact_type == "file"
        assert ws.export(".", tmp_path / "out.tar", tar=True).format == "tar"
        pushed = ws.push(tmp_path / "out.tar", "again").workspace_sync
        assert pushed.entry_count == done.entry_count
        assert {event.kind for event in ws.events()} >= {"exported", "sync_pushed"}


def test_git_ignores(client: pyro.Client, tree: Path, ws: pyro.Workspace) -> None:
    subprocess.run(["git", "init", "-q", tree], check=True)  # noqa: S607
    (tree / ".gitignore").write_text("sub/\n")
    ws.push(tree, "ignored", gitignore=True)
    assert ws.files.exists("ignored/a.txt")
    assert not ws.files.exists("ignored/sub")


def test_changes(client: pyro.Client, tree: Path, tmp_path: Path) -> None:
    with client.workspace("host", seed=tree) as ws:
        patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-hello\n+world\n"
        assert ws.apply_patch(patch, dry_run=True).checked
        assert ws.apply_patch(patch).summary.modified == 1
        assert [entry.path for entry in ws.diff().entries] == ["a.txt"]
        assert not ws.diff("sub", no_patch=True).changed
        assert ws.patch(tmp_path / "p").summary.total == 1
        assert "+world" in (tmp_path / "p").read_text()
        with pytest.raises(pyro.ConflictError):
            ws.apply_patch(patch)


def test_shell(ws: pyro.Workspace) -> None:
    with ws.shell(cols=100) as shell:
        shell.write("echo $((20+1))")
        until(lambda: "21" in shell.read(cursor=0, plain=True, wait_for_idle=0.1).output)
        assert shell.resize(80, 24).cols == 80
        with shell.attach(cursor=0) as terminal:
            terminal.write("exit 3\n")
            assert b"21" in b"".join(terminal)
        assert shell.status().exit_code == 3
    assert ws.shells.list() == ()


def test_service(ws: pyro.Workspace) -> None:
    with ws.service("web", "echo up; touch ready; sleep 1000", ready={"file": "ready"}) as service:
        assert service.check().name == "web"
        assert service.logs().stdout == "up\n"
        assert [s.service_name for s in ws.services.list()] == ["web"]
        assert next(service.follow()).text == "up\n"
        assert service.restart().state == "running"
    assert ws.services.get("web").info.state == "stopped"
    failed = ws.service("bad", "exit 1", ready={"tcp": "127.0.0.1:1"})
    with pytest.raises(pyro.ServiceError, match="bad is failed"):
        failed.check()


def test_secrets(ws: pyro.Workspace) -> None:
    ws.secrets.set("TOKEN", "value of it")
    assert [secret.name for secret in ws.secrets.list()] == ["TOKEN"]
    assert ws.run("echo $X", secret_env={"TOKEN": "X"}).stdout == "[REDACTED]\n"
    assert ws.secrets.unset("TOKEN") == ()


def test_states(client: pyro.Client, tmp_path: Path) -> None:
    with client.workspace("host", labels={"a": "b"}, secrets={"S": "secret"}, ttl=600) as ws:
        ws.files.write("f", "one")
        assert ws.snapshot("first").snapshot_name == "first"
        ws.files.write("f", "two")
        (fork,) = ws.fork(snapshot="first")
        with fork:
            assert fork.files.read("f") == "one"
        assert ws.reset("first").workspace_reset.snapshot_name == "first"
        assert ws.files.read("f") == "one"
        assert [s.snapshot_name for s in ws.snapshots.list()] == ["baseline", "first"]
        assert ws.snapshots.delete("first").deleted
        assert ws.update(name="n", labels={"c": "d"}).labels == {"a": "b", "c": "d"}
        assert ws.stop().state == "stopped"
        with pytest.raises(pyro.ConflictError, match="stopped"):
            ws.run("true")
        assert [entry.path for entry in ws.disk.list()] == ["/workspace/f"]
        assert ws.disk.read("f").content == "one"
        assert ws.disk.export(tmp_path / "disk.tar").entry_count == 1
        assert [event.kind for event in ws.events(follow=True)][-1] == "stopped"
        assert ws.start().state == "started"
        assert ws.run("cat f").stdout == "one"
        assert [entry.command for entry in ws.logs()] == ["cat f"]
        assert ws.summary().commands.total == 1
        assert client.get(ws.id).name == "n"


def test_machine(client: pyro.Client) -> None:
    assert client.run("host", "echo hi").check().stdout == "hi\n"
    assert "host" in [environment.name for environment in client.environments()]
    assert client.doctor().runtime_ok


def test_lease_ends_with_its_object(client: pyro.Client, tree: Path) -> None:
    def is_gone(workspace_id: str) -> bool:
        try:
            client.get(workspace_id)
        except pyro.NotFoundError:
            return True
        return False

    leased = client.workspace("host", seed=tree, lease=True)
    assert leased.run("cat a.txt").stdout == "hello\n"
    known = leased.id
    assert not is_gone(known)
    del leased
    until(lambda: is_gone(known))
    with client.workspace("host", lease=True) as leased:
        assert leased.run("true").ok
    assert is_gone(leased.id)


def test_killed_server_leaves_workspaces(
    client: pyro.Client, environment: dict[str, str], ws: pyro.Workspace
) -> None:
    process = server.private(environment)._process
    assert process is not None

    def kill() -> None:
        until(lambda: ws.files.exists("through"))  # on the workspace's own socket
        process.kill()

    with pyro.Client(environment=environment) as through:
        through.api._sockets[ws.id] = None  # as if it could not be reached
        there = pyro.Workspace(through.api.workspace(ws.id), ws.info)
        thread = threading.Thread(target=kill)
        thread.start()
        with pytest.raises(pyro.UnavailableError, match="went away") as lost:
            there.run("touch through; sleep 1000", timeout=1000)
        thread.join(PATIENCE)
    assert "workspaces live on" in lost.value.hint
    assert ws.id in [line.workspace_id for line in client.workspaces()]


def certificate(top: Path) -> list[str]:
    """Make a certificate that nobody vouches for, and return the options of a server with it."""
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    )
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], cwd=top, check=True, capture_output=True
    )
    return ["--tls-cert", str(top / "cert.pem"), "--tls-key", str(top / "key.pem")]


@pytest.mark.parametrize("tls", [False, True])
def test_server_over_tcp(
    environment: dict[str, str],
    ws: pyro.Workspace,
    tree: Path,
    tmp_path: Path,
    *,
    tls: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if tls and shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    token = secrets.token_hex(32)
    (tmp_path / "token").write_text(token)
    (tmp_path / "token").chmod(0o600)
    command = [environment["PYRO_BINARY"], "serve", "--listen", "127.0.0.1:0", "--json"]
    command += ["--token-file", str(tmp_path / "token"), *(certificate(tmp_path) if tls else [])]
    with subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            if tls:
                with pytest.raises(pyro.DeniedError, match="certificate"):
                    pyro.Client(url, token).workspaces()
                monkeypatch.setenv("PYRO_CA_FILE", str(tmp_path / "cert.pem"))
            with pytest.raises(pyro.DeniedError):
                pyro.Client(url, token[::-1]).workspaces()
            with pyro.Client(url, token) as far:
                use_from_afar(far, tree, tmp_path)
            asyncio.run(use_from_afar_async(url, token, ws.id))
        finally:
            process.terminate()


def use_from_afar(far: pyro.Client, tree: Path, tmp_path: Path) -> None:
    with far.workspace("host", seed=tree) as there:
        text = "over the network" * 100_000
        assert there.run("cat", stdin=text).stdout == text
        with there.popen("cat", stdin=True) as process:
            process.write(text)
            assert process.communicate().stdout == text
        there.files.upload(tree / "sub/data", "up")
        assert there.files.read_bytes("up") == (tree / "sub/data").read_bytes()
        there.files.delete("up")
        there.export(".", tmp_path / "out")
        assert names(tmp_path / "out") == names(tree)


async def use_from_afar_async(url: str, token: str, workspace_id: str) -> None:
    there = await aio.Client(url, token).connect(workspace_id)
    done = await asyncio.gather(*(there.run("cat", stdin="x" * 100_000) for _ in range(10)))
    assert [len(one.stdout) for one in done] == [100_000] * 10


def test_asyncio(environment: dict[str, str], ws: pyro.Workspace, tree: Path, tmp_path: Path) -> None:
    async def main() -> None:
        there = await aio.Client(environment=environment).connect(ws.id)
        done = await asyncio.gather(*(there.run(["echo", str(n)], timeout=PATIENCE) for n in range(100)))
        assert [one.stdout for one in done] == [f"{n}\n" for n in range(100)]
        await there.push(tree, "async")
        await there.export("async", tmp_path / "out")
        assert names(tmp_path / "out") == names(tree)
        async with there.popen("cat", stdin=True) as process:
            await process.write("x" * 1_000_000)
            assert len((await process.communicate()).stdout) == 1_000_000
        async with there.shell() as shell, shell.attach(cursor=0) as terminal:
            await terminal.write("exit\n")
            assert b"exit" in b"".join([piece async for piece in terminal])
        task = asyncio.create_task(there.run("echo $$ > canceled; exec sleep 1000", timeout=1000))
        await until_async(lambda: there.files.exists("canceled"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (fork,) = await there.fork()
        async with fork:
            assert [event async for event in fork.events()]

    asyncio.run(main())
    gone(ws, "canceled")


def test_child_of_a_fork(environment: dict[str, str], ws: pyro.Workspace, client: pyro.Client) -> None:
    child = os.fork()
    if child == 0:
        try:
            code = len(client.workspaces()) - 1 or ws.run("exit 0").exit_code
            server.private(environment).close()
        except BaseException:
            code = 99
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ws.run("true").ok
    assert len(client.workspaces()) == 1


def test_program_is_as_in_the_documentation(environment: dict[str, str], tree: Path) -> None:
    program = (
        "import pyro_mcp as pyro\n"
        "with pyro.workspace('host', seed='.') as ws:\n"
        "    ws.run('cat a.txt', stream=True).check()\n"
    )
    src = str(Path(__file__).parents[1] / "src")
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        env={**os.environ, **environment, "PYTHONPATH": src},
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("hello\n", "", 0)
