"""The server that this program starts for itself, with a script in its place."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyro_mcp._api import errors, server
from pyro_mcp._api.client import Client

SCRIPT = """\
#!{python}
import json, os, pathlib, sys, threading
sys.path[:0] = {paths}
from fake_pyro import FakePyro, answer
place = pathlib.Path(os.environ["FAKE_PLACE"])
assert sys.argv[1:4] == ["serve", "--private", "--json"], sys.argv
if "FAKE_BROKEN" in os.environ:
    sys.exit("[error] no sandbox runs here")
def handle(asked):
    if asked.target == "/v1/die":
        print("panic: no more", file=sys.stderr, flush=True)
        os.kill(os.getpid(), 9)
    return answer(json.dumps(dict(pid=os.getpid(), url=os.environ.get("PYRO_URL"))).encode())
with FakePyro(place / str(os.getpid()), handle) as fake:
    print(json.dumps(dict(url=fake.url)), flush=True)
    sys.stdin.read()
(place / "ended").write_text(str(os.getpid()))
"""

Environment = dict[str, str]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    script = tmp_path / "pyro"
    here = Path(__file__).parent
    script.write_text(SCRIPT.format(python=sys.executable, paths=[str(here), str(here.parent / "src")]))
    script.chmod(0o755)
    yield {"PYRO_BINARY": str(script), "FAKE_PLACE": str(tmp_path)}
    for known in list(server._servers.values()):
        known.close()
    server._servers.clear()


def pid(client: Client) -> int:
    return int(client.call("GET", "/v1/x")["pid"])


def test_one_server_is_started_for_all_clients(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYRO_URL", raising=False)
    first, second = Client(environment=environment), Client(environment=environment)
    assert pid(first) == pid(second) == pid(first)


def test_server_does_not_ask_another_one(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRO_URL", "")
    assert Client(environment=environment).call("GET", "/v1/x")["url"] is None


def test_killed_server_is_replaced(environment: Environment) -> None:
    client = Client(environment=environment)
    before = pid(client)
    os.kill(before, signal.SIGKILL)
    os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
    assert pid(client) != before


def test_server_that_is_killed_under_a_call_is_told(environment: Environment) -> None:
    client = Client(environment=environment)
    with pytest.raises(errors.UnavailableError, match=r"went away.*panic: no more") as caught:
        client.call("GET", "/v1/die")
    assert "workspaces live on" in caught.value.hint
    assert pid(client)


def test_server_that_does_not_start_says_why(environment: Environment) -> None:
    with pytest.raises(errors.UnavailableError, match="no sandbox runs here"):
        Client(environment={**environment, "FAKE_BROKEN": "1"}).call("GET", "/v1/x")


def test_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.UnavailableError, match="nothing") as caught:
        Client(environment={"PYRO_BINARY": str(tmp_path / "nothing")}).call("GET", "/v1/x")
    assert "PYRO_BINARY" in caught.value.hint


def test_child_of_a_fork_starts_its_own(environment: Environment) -> None:
    client = Client(environment=environment)
    before = pid(client)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(pid(client)).encode())
            for known in list(server._servers.values()):
                known.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    assert int(os.read(read, 100)) != before
    os.close(read)
    assert pid(client) == before


def test_server_ends_with_the_program(environment: Environment, tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import os, sys
        from pyro_mcp._api.client import Client
        print(Client().call("GET", "/v1/x")["pid"], flush=True)
        if len(sys.argv) > 1:
            os.kill(os.getpid(), 9)
    """)
    src = str(Path(__file__).parents[1] / "src")
    for words in ([], ["killed"]):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, *words],
            env={**os.environ, **environment, "PYTHONPATH": src},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        started = int(done.stdout)
        for _ in range(2000):
            if not Path(f"/proc/{started}").exists():
                break
            subprocess.run([sys.executable, "-S", "-c", ""], check=True)
        else:
            pytest.fail("the server lives on")
        assert (tmp_path / "ended").read_text() == str(started)


def test_log_of_the_server_is_bounded(environment: Environment) -> None:
    own = server.Server(environment)
    own.endpoint()
    os.write(own._log, b"x" * (1 << 20))
    own.running()
    os.write(own._log, b"the end")
    assert own.said() == "the end"
    own.close()


def test_binary_is_searched_in_path_without_scripts_of_this_package(tmp_path: Path) -> None:
    for name, content in (("a", "#!python\nfrom pyro_mcp.__main__ import main"), ("b", "#!/bin/sh\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyro").write_text(content)
        (tmp_path / name / "pyro").chmod(0o755)
    assert server.find_binary({"PATH": f"{tmp_path}/a:{tmp_path}/b"}) == str(tmp_path / "b/pyro")
    with pytest.raises(errors.UnavailableError):
        server.find_binary({"PATH": f"{tmp_path}/a"})
