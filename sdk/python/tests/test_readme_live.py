"""What the README of the replaced product shows is run here, as it is written there.

But for one word: its environments are debian:12 and its relatives, and pyro has none but
``host`` yet. That word, and no other, is replaced by :func:`as_there_is`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sandboxed import place, pyro

__all__ = ["place", "pyro"]


def as_there_is(example: str) -> str:
    """Name the environment that there is."""
    assert "debian:12" in example
    return example.replace("debian:12", "host")


ONE_COMMAND = """
from pyro_mcp import Pyro

pyro = Pyro()
result = pyro.run_in_vm(
    environment="debian:12",
    command="git --version",
    timeout_seconds=30,
    network=False,
)
print(result["stdout"])
"""

STEP_BY_STEP = """
from pyro_mcp import Pyro

pyro = Pyro()
created = pyro.create_vm(
    environment="debian:12",
    vcpu_count=1,
    mem_mib=1024,
    ttl_seconds=600,
    network=False,
)
vm_id = created["vm_id"]
pyro.start_vm(vm_id)
result = pyro.exec_vm(vm_id, command="git --version", timeout_seconds=30)
print(result["stdout"])
"""

WORKSPACE = """
from pyro_mcp import Pyro

pyro = Pyro()
workspace = pyro.create_workspace(environment="debian:12", seed_path="./repo")
workspace_id = workspace["workspace_id"]
try:
    pyro.push_workspace_sync(workspace_id, "./changes", dest="src")
    pyro.exec_workspace(workspace_id, command='printf "hello from workspace\\n" > src/note.txt')
    print(pyro.exec_workspace(workspace_id, command="cat src/note.txt")["stdout"])
    print(pyro.diff_workspace(workspace_id)["patch"])
    pyro.export_workspace(workspace_id, "src/note.txt", output_path="./note.txt")
    print(pyro.logs_workspace(workspace_id)["count"])
finally:
    pyro.delete_workspace(workspace_id)
"""

SNAPSHOTS = """
from pyro_mcp import Pyro

pyro = Pyro()
workspace = pyro.create_workspace(
    environment="debian:12",
    seed_path="./repo",
    name="repro-fix",
    labels={"issue": "123"},
    secrets=[{"name": "API_TOKEN", "value": "expected"}],
)
workspace_id = workspace["workspace_id"]
try:
    pyro.create_snapshot(workspace_id, "checkpoint")
    pyro.write_workspace_file(workspace_id, "src/app.py", text="print('changed')\\n")
    print(pyro.read_workspace_file(workspace_id, "src/app.py")["content"])
    pyro.reset_workspace(workspace_id, snapshot="checkpoint")
    print(pyro.diff_workspace(workspace_id)["changed"])
    print(
        pyro.exec_workspace(
            workspace_id,
            command='test "$API_TOKEN" = "expected" && echo secret-ok',
            secret_env={"API_TOKEN": "API_TOKEN"},
        )["stdout"]
    )
    pyro.stop_workspace(workspace_id)
    print(pyro.list_workspace_disk(workspace_id, path="src")["entries"][0]["path"])
    print(pyro.read_workspace_disk(workspace_id, "src/app.py")["content"])
    pyro.start_workspace(workspace_id)
finally:
    pyro.delete_workspace(workspace_id)
"""

SHELLS_AND_SERVICES = """
from pyro_mcp import Pyro

pyro = Pyro()
workspace_id = pyro.create_workspace(environment="debian:12")["workspace_id"]
try:
    shell = pyro.open_shell(workspace_id)
    pyro.write_shell(workspace_id, shell["shell_id"], input="pwd")
    output = pyro.read_shell(workspace_id, shell["shell_id"], plain=True, wait_for_idle_ms=300)
    print(output["output"])
    pyro.close_shell(workspace_id, shell["shell_id"])
    service = pyro.start_service(
        workspace_id,
        "web",
        command="touch .web-ready && while true; do sleep 60; done",
        readiness={"type": "file", "path": ".web-ready"},
    )
    print(service["state"])
    print(pyro.list_services(workspace_id)["count"])
    print(pyro.logs_service(workspace_id, "web", tail_lines=50)["state"])
    print(pyro.stop_service(workspace_id, "web")["state"])
finally:
    pyro.delete_workspace(workspace_id)
"""

SERVER = """
from pyro_mcp import create_server

server = create_server()
server.run(transport="stdio")
"""


def run(example: str, directory: Path, stdin: str = "") -> str:
    """Run an example as a program, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=directory,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "repo" / "src").mkdir(parents=True)
    (tmp_path / "repo" / "src" / "app.py").write_text("print('as it was')\n")
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes" / "more.py").write_text("pass\n")
    return tmp_path


@pytest.mark.usefixtures("place")
class TestReadme:
    @pytest.mark.parametrize("example", [ONE_COMMAND, STEP_BY_STEP], ids=["at once", "step by step"])
    def test_one_command(self, example: str, directory: Path) -> None:
        assert run(as_there_is(example), directory).startswith("git version ")

    def test_a_workspace(self, directory: Path) -> None:
        printed = run(as_there_is(WORKSPACE), directory)
        assert printed.startswith("hello from workspace\n")
        assert "+++ b/src/note.txt" in printed
        assert printed.endswith("2\n")
        assert (directory / "note.txt").read_text() == "hello from workspace\n"

    def test_snapshots_secrets_and_disks(self, directory: Path) -> None:
        printed = [line for line in run(as_there_is(SNAPSHOTS), directory).splitlines() if line]
        was = "print('as it was')"
        assert printed == ["print('changed')", "False", "secret-ok", "/workspace/src/app.py", was]

    def test_shells_and_services(self, directory: Path) -> None:
        printed = run(as_there_is(SHELLS_AND_SERVICES), directory)
        assert "/workspace\n" in printed
        assert printed.endswith("running\n1\nrunning\nstopped\n")

    def test_a_server(self, directory: Path) -> None:
        client = {"name": "test", "version": "1"}
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        words = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}) + "\n"
        answer = json.loads(run(SERVER, directory, words))
        assert answer["result"]["capabilities"]["tools"] is not None
