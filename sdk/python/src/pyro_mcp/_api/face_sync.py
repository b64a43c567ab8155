"""What the face that waits is made of; :mod:`face_async` has the same names."""

from collections.abc import Callable
from typing import TypeVar

from pyro_mcp._api.client import Client as ApiClient
from pyro_mcp._api.client import WorkspaceClient as ApiWorkspace
from pyro_mcp._api.link import Stream as ApiStream

__all__ = ["ApiClient", "ApiStream", "ApiWorkspace", "apart", "client_of", "opening"]

T = TypeVar("T")


def apart(do: Callable[[], T]) -> T:
    """Do what reads or writes files of this machine."""
    return do()


def client_of(base: ApiClient) -> ApiClient:
    """Return the client of this face."""
    return base


def opening(made: T) -> T:
    """Return what was made."""
    return made
