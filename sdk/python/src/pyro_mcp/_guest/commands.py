"""Commands."""

import math
import os

from pyro_mcp._guest import limits
from pyro_mcp._guest.exchange import Caller, Request, peer_of
from pyro_mcp._guest.results import GuestExecResponse


class Commands(Caller):
    """The calls that run commands."""

    def exec(
        self,
        guest_cid: int,
        port: int,
        command: str,
        timeout_seconds: float = limits.USUAL_TIMEOUT,
        *,
        env: dict[str, str] | None = None,
        uds_path: str | os.PathLike[str] | None = None,
    ) -> GuestExecResponse:
        """Run a line by ``/bin/sh -lc`` and capture its output.

        The timeout is rounded up to whole seconds and strikes in the guest, with exit code
        124. The answer is awaited for ten seconds more.
        """
        seconds = math.ceil(timeout_seconds)
        request = Request(
            "exec",
            {"command": command, "timeout_seconds": seconds, "env": env},
            timeout=max(seconds, 0) + limits.EXEC_MARGIN,
            limit=limits.MAX_STREAMS_REPLY,
        )
        reply = self._ask(peer_of(guest_cid, port, uds_path), request)
        return GuestExecResponse(
            stdout=reply.text("stdout"),
            stderr=reply.text("stderr"),
            exit_code=reply.number("exit_code", -1),
            duration_ms=reply.count("duration_ms"),
            stdout_truncated=reply.flag("stdout_truncated"),
            stderr_truncated=reply.flag("stderr_truncated"),
            reason=reply.text("reason"),
        )
