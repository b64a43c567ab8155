# Made by tools/python-faces.py of aio/_ask.py. Change that one.
"""One question and its typed answer."""

from collections.abc import Mapping
from typing import TypeVar

from pyro_mcp._api import limits
from pyro_mcp._api.face_sync import ApiClient, ApiWorkspace
from pyro_mcp._api.http1 import QueryValue
from pyro_mcp._models.base import Model

M = TypeVar("M", bound=Model)

Body = Mapping[str, object]
Query = dict[str, QueryValue]


def ask(
    kind: type[M],
    at: ApiClient | ApiWorkspace,
    op: str,
    route: str,
    *,
    query: Query | None = None,
    body: Body | None = None,
    within: float = limits.ANSWER,
    limit: int = limits.REPLY,
) -> M:
    """Ask for a route, which is a method and a path."""
    method, _, path = route.partition(" ")
    return kind.of(at.call(method, path, query=query, body=body, timeout=within, op=op, limit=limit))
