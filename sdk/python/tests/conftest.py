"""What holds for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def found_by_programs() -> Iterator[None]:
    """Let programs that tests start find the package, too."""
    with pytest.MonkeyPatch.context() as patch:
        source = str(Path(__file__).parents[1] / "src")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH")))))
        yield
