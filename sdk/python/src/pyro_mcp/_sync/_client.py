# Made by tools/python-faces.py of aio/_client.py. Change that one.
"""Where workspaces come from."""

import os
from collections.abc import Iterable, Mapping
from functools import partial
from types import TracebackType

from pyro_mcp._api import limits, words
from pyro_mcp._api.client import Client as BaseClient
from pyro_mcp._api.endpoint import Held
from pyro_mcp._api.face_sync import apart, client_of, opening
from pyro_mcp._api.http1 import segment
from pyro_mcp._models.machine import Doctor, Environment, EnvironmentList, Prepare
from pyro_mcp._models.workspace import RunResult, WorkspaceInfo, WorkspaceLine, WorkspaceList
from pyro_mcp._sync._ask import Body, Query, ask
from pyro_mcp._sync._workspace import Workspace


class Client:
    """A pyro: the one at ``url`` or PYRO_URL, else one that this program starts for itself.

    URLs are unix:///PATH, https://HOST:PORT, and http://HOST:PORT on this machine. The token of
    the last two is ``token``, PYRO_TOKEN, or in the file PYRO_TOKEN_FILE. ``environment`` has
    variables for the pyro that is started, such as PYRO_STATE_DIR.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.api = client_of(BaseClient(url, token, environment=environment))

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def workspace(
        self,
        environment: str = "host",
        *,
        seed: str | os.PathLike[str] | None = None,
        exclude: Iterable[str] = (),
        gitignore: bool = False,
        skip_special: bool = False,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        vcpus: int | None = None,
        mem_mib: int | None = None,
        disk_mib: int | None = None,
        ttl: float | None = None,
        no_expiry: bool = False,
        idle: float | None = None,
        network: str | None = None,
        engine: str | None = None,
        secrets: Mapping[str, str] | None = None,
        allow_host_compat: bool = False,
        lease: bool = False,
    ) -> Workspace:
        """Make a workspace, with a directory or tar archive in it, and delete it after ``with``.

        ``exclude``, ``gitignore`` and ``skip_special`` are about the seed, see
        :meth:`Workspace.push`. ``ttl`` and ``idle`` are seconds, ``network`` is off, egress or
        egress+published-ports. What is left out is as the machine has it. One with a ``lease`` is
        gone with the object that is returned, also when this program or the server is killed; it is
        in no list, ends when it is stopped, and cannot be forked.
        """
        wanted: Body = {
            "environment": environment,
            "name": name,
            "labels": labels and dict(labels),
            "vcpu_count": vcpus,
            "mem_mib": mem_mib,
            "disk_mib": disk_mib,
            "ttl_seconds": -1 if no_expiry else words.whole_seconds("ttl", ttl),
            "idle_seconds": words.whole_seconds("idle", idle),
            "network_policy": network,
            "engine": engine,
            "secrets": words.secret_fields(secrets),
            "allow_host_compat": allow_host_compat or None,
        }
        if seed is None and not lease:
            return opening(self._create(wanted))
        return opening(self._create_with(wanted, seed, exclude, gitignore, skip_special, lease=lease))

    def _create(self, wanted: Body) -> Workspace:
        answer = self.api.call(
            "POST", "/v1/workspaces", body=wanted, timeout=limits.CREATE, op="create workspace"
        )
        return self._attach(answer, owned=True)

    def _create_with(
        self,
        wanted: Body,
        seed: str | os.PathLike[str] | None,
        exclude: Iterable[str],
        gitignore: bool,
        skip_special: bool,
        *,
        lease: bool,
    ) -> Workspace:
        from pyro_mcp._trees import transfer

        base = self.api.base
        find = partial(transfer.source, exclude=exclude, gitignore=gitignore, skip_special=skip_special)
        if lease:
            answer, held = apart(lambda: transfer.lease(base, wanted, None if seed is None else find(seed)))
            return self._attach(answer, owned=True, held=held)
        assert seed is not None  # noqa: S101 - there is one, or a lease
        path = seed
        return self._attach(apart(lambda: transfer.create(base, wanted, find(path))), owned=True)

    def connect(self, workspace_id: str) -> Workspace:
        """Return a workspace that is there. Nothing ends with its ``with`` block."""
        answer = self.api.call("GET", f"/v1/workspaces/{segment(workspace_id)}", op="status of workspace")
        return self._attach(answer, owned=False)

    def get(self, workspace_id: str) -> WorkspaceInfo:
        """Return what is known of a workspace."""
        return ask(
            WorkspaceInfo, self.api, "status of workspace", f"GET /v1/workspaces/{segment(workspace_id)}"
        )

    def workspaces(self) -> tuple[WorkspaceLine, ...]:
        """List the workspaces, the most recently used first."""
        found = ask(
            WorkspaceList,
            self.api,
            "list workspaces",
            "GET /v1/workspaces",
            within=limits.LOGS,
            limit=limits.SHELL_REPLY,
        )
        return found.workspaces

    def run(
        self,
        environment: str,
        command: words.Command,
        *,
        timeout: float = 30,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        vcpus: int | None = None,
        mem_mib: int | None = None,
        network: str | None = None,
        engine: str | None = None,
        secrets: Mapping[str, str] | None = None,
        secret_env: Mapping[str, str] | None = None,
        allow_host_compat: bool = False,
    ) -> RunResult:
        """Run one command in a workspace of its own, which is gone afterwards."""
        wanted: Body = {
            "environment": environment,
            "vcpu_count": vcpus or 0,
            "mem_mib": mem_mib or 0,
            "network_policy": network or "",
            "engine": engine or "",
            "secrets": words.secret_fields(secrets) or [],
            "allow_host_compat": allow_host_compat,
        }
        exec_body: Body = {
            **words.command_fields(command),
            "timeout_seconds": words.needed_seconds("timeout", timeout),
            "env": dict(env or {}),
            "cwd": cwd or "",
            "secret_env": dict(secret_env or {}),
        }
        return ask(
            RunResult,
            self.api,
            "run",
            "POST /v1/run",
            body={"workspace": wanted, "exec": exec_body},
            within=limits.CREATE + words.exec_within(timeout),
            limit=limits.CAPTURE,
        )

    def environments(self) -> tuple[Environment, ...]:
        """List what workspaces can begin with."""
        found = ask(
            EnvironmentList, self.api, "list environments", "GET /v1/environments", within=limits.LOGS
        )
        return found.environments

    def doctor(self, environment: str | None = None) -> Doctor:
        """Find out what the machine can do, and what to do where it cannot."""
        query: Query = {"environment": environment}
        return ask(Doctor, self.api, "doctor", "GET /v1/doctor", query=query, within=limits.LIST)

    def prepare(
        self, environment: str, *, force: bool = False, network: bool = False, allow_host_compat: bool = False
    ) -> Prepare:
        """Try an environment, unless that was done before."""
        body: Body = {
            "environment": environment,
            "force": force,
            "network": network,
            "allow_host_compat": allow_host_compat,
        }
        return ask(Prepare, self.api, "prepare", "POST /v1/prepare", body=body, within=limits.CREATE)

    def close(self) -> None:
        """End connections that nobody uses. The client can be used on, and workspaces live on."""
        self.api.close()

    def _attach(self, answer: Mapping[str, object], *, owned: bool, held: Held | None = None) -> Workspace:
        info = WorkspaceInfo.of(answer)
        self.api.base.learn(answer)
        return Workspace(self.api.workspace(info.workspace_id), info, owned=owned, held=held)
