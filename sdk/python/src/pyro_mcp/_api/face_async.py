"""What the asyncio face is made of; :mod:`face_sync` has the same names."""

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from pyro_mcp._api.aclient import AsyncClient as ApiClient
from pyro_mcp._api.aclient import AsyncWorkspaceClient as ApiWorkspace
from pyro_mcp._api.aclient import apart
from pyro_mcp._api.alink import AsyncStream as ApiStream
from pyro_mcp._api.client import Client

__all__ = ["ApiClient", "ApiStream", "ApiWorkspace", "Opening", "apart", "client_of", "opening"]


class _Ends(Protocol):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


T = TypeVar("T", bound=_Ends)


def client_of(base: Client) -> ApiClient:
    """Return the client of this face."""
    return ApiClient(base)


class Opening(Generic[T]):
    """Something that is being made: ``await`` it, or use it in ``async with``."""

    def __init__(self, making: Coroutine[Any, Any, T]) -> None:
        self._making = making
        self._made: T | None = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._making.__await__()

    async def __aenter__(self) -> T:
        self._made = await self._making
        return self._made

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._made is not None:
            await self._made.__aexit__(kind, error, trace)


def opening(making: Coroutine[Any, Any, T]) -> Opening[T]:
    """Return what can be awaited and entered."""
    return Opening(making)
