"""The server for agents, and the program, which are `pyro` itself."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyro_mcp import Pyro, create_server
from pyro_mcp.server import McpServer


def test_servers_are_what_the_command_serves() -> None:
    assert create_server().arguments == ["mcp", "serve", "--profile", "workspace-full"]
    assert Pyro().create_server(profile="vm-run").arguments == ["mcp", "serve", "--profile", "vm-run"]
    told = create_server(mode="inspect", repo_url="https://example.org/x", repo_ref="-v").arguments
    assert told == ["mcp", "serve", "--mode", "inspect", "--repo-url=https://example.org/x", "--repo-ref=-v"]


@pytest.mark.parametrize(
    "given",
    [
        {"profile": "all"},
        {"mode": "all"},
        {"repo_ref": "main"},
        {"project_path": ".", "no_project_source": True},
    ],
)
def test_servers_refuse(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        create_server(**given)
    with pytest.raises(ValueError, match="transport"):
        create_server().run(transport="sse")


def program(tmp_path: Path, script: str) -> Path:
    """Make something that stands for pyro."""
    path = tmp_path / "pyro"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_run_is_that_program_with_this_input_and_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'echo "$*" "$PYRO_STATE_DIR"; cat; exit 5'
    monkeypatch.setenv("PYRO_BINARY", str(program(tmp_path, script)))
    code = "import pyro_mcp; print('first'); pyro_mcp.Pyro(base_dir='/base').create_server().run()"
    done = subprocess.run(
        [sys.executable, "-c", code], input="in\n", capture_output=True, text=True, check=False
    )
    assert done.stdout == "first\nmcp serve --profile workspace-full /base\nin\n"
    assert (done.returncode, done.stderr) == (5, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    name = number.name.removeprefix("SIG")
    # It says that it is ready, and ends when the signal comes, or with its input.
    script = f"trap 'echo {name}; exit 3' {name}\necho ready\nwhile :; do read -r line || exit 9; done"
    monkeypatch.setenv("PYRO_BINARY", str(program(tmp_path, script)))
    with subprocess.Popen(
        [sys.executable, "-c", "import pyro_mcp; pyro_mcp.create_server().run()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == f"{name}\n"
        assert process.wait(20) == 3


def test_a_server_that_dies_by_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("PYRO_BINARY", str(program(tmp_path, "kill -9 $$")))
    with pytest.raises(SystemExit) as ended:
        McpServer(["mcp", "serve"], {}).run()
    assert ended.value.code == 128 + 9
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_program_by_the_name_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Python ignores SIGPIPE; what it becomes does not.
    script = 'echo "$*"; grep SigIgn /proc/self/status; exit 7'
    monkeypatch.setenv("PYRO_BINARY", str(program(tmp_path, script)))
    done = subprocess.run(
        [sys.executable, "-m", "pyro_mcp", "run", "-x"], capture_output=True, text=True, check=False
    )
    words, ignored = done.stdout.splitlines()
    assert (words, int(ignored.split()[1], 16) & (1 << signal.SIGPIPE - 1), done.returncode) == (
        "run -x",
        0,
        7,
    )


def test_no_program_is_an_error_and_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRO_BINARY", str(tmp_path / "gone"))
    done = subprocess.run([sys.executable, "-m", "pyro_mcp"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"[error] {tmp_path}/gone: No such file or directory\n")
