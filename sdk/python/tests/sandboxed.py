"""A place of its own for the workspaces of a module's tests.

Without PYRO_BINARY, or where it can start no workspace, they are skipped, and fail if
PYRO_REQUIRE has the word gvisor.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_live import lacking

from pyro_mcp import Pyro, PyroError, VmManager
from pyro_mcp._api import server


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Give the directory that holds the state. The environment says the same to everybody."""
    if not os.environ.get("PYRO_BINARY"):
        lacking("PYRO_BINARY names no pyro")
    with tempfile.TemporaryDirectory(prefix="pyro") as name, pytest.MonkeyPatch.context() as patch:
        top = Path(name)  # a test's own is too long for sockets
        top.chmod(0o711)  # a sandbox's user is not root
        patch.setenv("PYRO_STATE_DIR", str(top / "s"))
        patch.setenv("PYRO_RUN_DIR", str(top / "r"))
        patch.setenv("PYRO_CACHE_DIR", str(top / "c"))
        patch.delenv("PYRO_URL", raising=False)
        server.private().close()  # one of other tests has another place
        pyro = Pyro()
        try:
            pyro.run_in_vm(environment="host", command="true")
        except PyroError as e:
            lacking(e)
        yield top
        left = pyro.list_workspaces()["workspaces"]
        for one in left:
            pyro.delete_workspace(one["workspace_id"])
        close(pyro.manager)
        assert left == []


@pytest.fixture
def pyro(place: Path) -> Pyro:
    return Pyro()


def close(manager: VmManager) -> None:
    """End what a manager has started."""
    server.private(manager.environment or None).close()
