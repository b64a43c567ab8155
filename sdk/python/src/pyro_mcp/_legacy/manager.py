"""Where the workspaces of a :class:`Pyro` are, and how it asks for them."""

import threading
from os import PathLike
from pathlib import Path
from typing import Any

from pyro_mcp._api import address, limits
from pyro_mcp._api.client import Client
from pyro_mcp._api.errors import InvalidError
from pyro_mcp._api.http1 import QueryValue
from pyro_mcp._legacy.defaults import MAX_ACTIVE_VMS

# Of the replaced product; each machine finds its engine itself.
FIRECRACKER = "firecracker"
# Consent to have no isolation, for tests.
MOCK = "mock"

_MAX_CONSENTS = 1024


class VmManager:
    """What a :class:`Pyro` is made with.

    ``base_dir`` is where workspaces are kept (PYRO_STATE_DIR), ``cache_dir`` what can be made
    again (PYRO_CACHE_DIR), and ``max_active_vms`` how many workspaces may run there at once
    (PYRO_CAPACITY); without them it is as the machine is configured, see docs/configuration.md.
    They are about this machine: with PYRO_URL they are a ValueError.

    ``backend_name`` is ``firecracker``, which says no more than None: the best engine of the
    machine that isolates. ``mock`` is consent, for all that is made with it, to run without
    any isolation.
    """

    def __init__(
        self,
        *,
        backend_name: str | None = None,
        base_dir: str | PathLike[str] | None = None,
        cache_dir: str | PathLike[str] | None = None,
        max_active_vms: int = MAX_ACTIVE_VMS,
    ) -> None:
        if backend_name not in (None, FIRECRACKER, MOCK):
            raise InvalidError(f"backend {backend_name!r} is not known", hint=f"use {FIRECRACKER} or {MOCK}")
        self.backend_name = backend_name or FIRECRACKER
        self.base_dir = _directory(base_dir)
        self.cache_dir = _directory(cache_dir)
        self.max_active_vms = int(max_active_vms)
        if self.max_active_vms < 1:
            raise InvalidError(f"max_active_vms is {max_active_vms}, allowed are 1 and more")
        self._capacity = MAX_ACTIVE_VMS.given(max_active_vms)
        self._consents: dict[str, None] = {}
        self._client: Client | None = None
        self._lock = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that say the same to a pyro that is started."""
        said = {
            "PYRO_STATE_DIR": self.base_dir,
            "PYRO_CACHE_DIR": self.cache_dir,
            "PYRO_CAPACITY": self._capacity,
        }
        return {name: str(value) for name, value in said.items() if value is not None}

    @property
    def client(self) -> Client:
        """The way to the server, which is started when it is first asked."""
        with self._lock:
            if self._client is None:
                if self.environment and address.from_environment() is not None:
                    raise InvalidError(
                        "base_dir, cache_dir and max_active_vms are not for the machine of PYRO_URL",
                        hint="leave them out, or unset PYRO_URL",
                    )
                self._client = Client(environment=self.environment or None)
            return self._client

    def with_engine(self, wanted: dict[str, Any], *, allow_host_compat: bool) -> dict[str, Any]:
        """Return a request for a sandbox that says what may run it."""
        if self.backend_name == MOCK:
            # It limits nothing, and says so where it is asked to.
            wanted = {key: value for key, value in wanted.items() if key not in ("vcpu_count", "mem_mib")}
            return {**wanted, "engine": "host-compat", "allow_host_compat": True}
        return {**wanted, "allow_host_compat": True} if allow_host_compat else wanted

    def note_consent(self, workspace_id: object, *, given: bool) -> None:
        """Note that a workspace was made with consent to have no isolation.

        It was given for the workspace: its start and reset have no parameter for it.
        """
        if not given or not isinstance(workspace_id, str):
            return
        with self._lock:
            self._consents[workspace_id] = None
            if len(self._consents) > _MAX_CONSENTS:
                del self._consents[next(iter(self._consents))]

    def consent(self, workspace_id: str) -> dict[str, Any]:
        """Return the field of a request that starts a workspace anew."""
        given = self.backend_name == MOCK or workspace_id in self._consents
        return {"allow_host_compat": True} if given else {}

    def ask(
        self,
        op: str,
        method: str,
        path: str,
        *,
        query: dict[str, QueryValue] | None = None,
        body: dict[str, Any] | None = None,
        within: float = limits.ANSWER,
        limit: int = limits.REPLY,
    ) -> dict[str, Any]:
        """Ask the server."""
        return self.client.call(method, path, query=query, body=body, timeout=within, op=op, limit=limit)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.backend_name}>"


def _directory(given: str | PathLike[str] | None) -> Path | None:
    if given is None:
        return None
    return Path(given).expanduser().absolute()
