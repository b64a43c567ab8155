"""A deadline for what a task waits for."""

import asyncio
import sys

# asyncio.wait_for can lose a cancel that comes together with the result, until Python 3.12.
if sys.version_info >= (3, 11):
    deadline = asyncio.timeout
else:
    from types import TracebackType

    class deadline:  # noqa: N801 - it stands for a function
        """Raise a TimeoutError in its block when so many seconds are over; None: never."""

        def __init__(self, seconds: "float | None") -> None:
            self._seconds = seconds
            self._over = False

        async def __aenter__(self) -> "deadline":
            self._task = asyncio.current_task()
            loop = asyncio.get_running_loop()
            self._handle = None if self._seconds is None else loop.call_later(self._seconds, self._end)
            return self

        async def __aexit__(
            self,
            kind: "type[BaseException] | None",
            error: "BaseException | None",
            trace: "TracebackType | None",
        ) -> None:
            if self._handle is not None:
                self._handle.cancel()
            if self._over and kind is asyncio.CancelledError:
                raise TimeoutError("timed out") from error

        def _end(self) -> None:
            self._over = True
            if self._task is not None:
                self._task.cancel()


__all__ = ["deadline"]
