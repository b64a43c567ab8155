"""How work on another thread is given up: its connections are ended under it."""

import threading
from contextvars import ContextVar
from typing import Protocol


class Cuttable(Protocol):
    """A connection that can be ended by another thread than the one that waits for it."""

    def cut(self) -> None:
        """End it."""


class Abort:
    """Ends the connections that work makes, when that is to end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._made: list[Cuttable] = []

    def add(self, connection: Cuttable) -> None:
        """Note a connection; it ends at once if the work is to end."""
        with self._lock:
            self._made.append(connection)
            ended = self._ended
        if ended:
            connection.cut()

    def cut(self) -> None:
        """End all connections, and those that are still made."""
        with self._lock:
            self._ended = True
            made = list(self._made)
        for connection in made:
            connection.cut()


CURRENT: ContextVar[Abort | None] = ContextVar("pyro_abort", default=None)
"""What ends the work of this context; None: nothing but itself."""
