"""A workspace."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from pyro_mcp._api import limits, words
from pyro_mcp._api.errors import NotFoundError
from pyro_mcp._api.face_async import Opening, apart, opening
from pyro_mcp._api.question import Question, encode
from pyro_mcp._api.show import Told, teller
from pyro_mcp._models.workspace import (
    CommandResult,
    Export,
    Forked,
    Push,
)
from pyro_mcp.aio._ask import Body, Query, ask
from pyro_mcp.aio._life import Life
from pyro_mcp.aio._process import STDERR, STDOUT, Process

if TYPE_CHECKING:
    from pyro_mcp._models.diff import Diff, DiffPatched, Snapshot
    from pyro_mcp._models.files import PatchResult
    from pyro_mcp.aio._files import Files
    from pyro_mcp.aio._live import Service, Services, Shell, Shells
    from pyro_mcp.aio._manage import Disk, Secrets, Snapshots


class Workspace(Life):
    """A disposable machine.

    ``info`` is the workspace as it was last told. One that this program has made is deleted when
    its ``with`` block is left; without such a block it lives until it is deleted or its time is
    over. It can be used by several threads or tasks at once.
    """

    async def __aenter__(self) -> "Workspace":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._owned:
            return
        with contextlib.suppress(NotFoundError):  # it was deleted before, or its time was over
            await self.delete()

    def __repr__(self) -> str:
        return f"<Workspace {self.id} {self.info.environment} {self.info.state}>"

    @property
    def files(self) -> "Files":
        """The files below /workspace."""
        from pyro_mcp.aio._files import Files

        return Files(self._at)

    @property
    def shells(self) -> "Shells":
        """The shells; :meth:`shell` opens one."""
        from pyro_mcp.aio._live import Shells

        return Shells(self._at)

    @property
    def services(self) -> "Services":
        """The services; :meth:`service` starts one."""
        from pyro_mcp.aio._live import Services

        return Services(self._at)

    @property
    def secrets(self) -> "Secrets":
        """The secrets."""
        from pyro_mcp.aio._manage import Secrets

        return Secrets(self._at)

    @property
    def snapshots(self) -> "Snapshots":
        """The snapshots; :meth:`snapshot` makes one, and :meth:`reset` goes back to one."""
        from pyro_mcp.aio._manage import Snapshots

        return Snapshots(self._at)

    @property
    def disk(self) -> "Disk":
        """The disk, while the workspace is stopped."""
        from pyro_mcp.aio._manage import Disk

        return Disk(self._at)

    # Commands

    async def run(
        self,
        command: words.Command,
        *,
        timeout: float = 30,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: words.Input | None = None,
        secret_env: Mapping[str, str] | None = None,
        stream: bool | Told = False,
    ) -> CommandResult:
        """Run a line by /bin/sh -lc, or a program with its arguments, and return what came of it.

        A command that fails is no error: see ``exit_code``, or call ``check()``. ``timeout`` is in
        seconds. Of each stream at most 8 MiB are in the result, head and tail. With ``stream`` the
        output is printed as it comes too, to a terminal without what that would act upon, or goes
        to a function as text. An interrupt, or a task
        that is canceled, kills the command.
        """
        body = self._exec_body(command, timeout, env, cwd, secret_env)
        if stdin is None and not stream:
            return await ask(
                CommandResult,
                self._at,
                "exec",
                "POST /exec",
                body=body,
                within=words.exec_within(timeout),
                limit=limits.CAPTURE,
            )
        tell = teller(stream)
        captured = {STDOUT: words.Capture(), STDERR: words.Capture()}
        async with await self._popen({**body, "stdin": stdin is not None}, timeout) as process:
            if stdin is not None:
                process.feed(stdin)
            async for piece in process:
                captured[piece.stream].add(piece.data)
                tell(piece.stream, piece.data)
            tell(STDOUT, b"")
            return words.with_output(await process.wait(), captured)

    def popen(
        self,
        command: words.Command,
        *,
        timeout: float = 30,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: bool = False,
        secret_env: Mapping[str, str] | None = None,
        tty: tuple[int, int] | None = None,
    ) -> Opening[Process]:
        """Start a command and return it while it runs. ``tty`` is columns and rows of a terminal."""
        body = self._exec_body(command, timeout, env, cwd, secret_env)
        wants_input = stdin or tty is not None
        return opening(self._popen({**body, "stdin": wants_input, "tty": words.size_fields(tty)}, timeout))

    async def _popen(self, body: Body, timeout: float) -> Process:
        question = Question("exec", "POST", "/exec", body=encode(body))
        stream = await self._at.open(question)
        stream.patience = words.exec_within(timeout)
        return Process(stream, stdin=bool(body["stdin"]))

    def _exec_body(
        self,
        command: words.Command,
        timeout: float,
        env: Mapping[str, str] | None,
        cwd: str | None,
        secret_env: Mapping[str, str] | None,
    ) -> Body:
        return {
            **words.command_fields(command),
            "timeout_seconds": words.needed_seconds("timeout", timeout),
            "env": env and dict(env),
            "cwd": cwd,
            "secret_env": secret_env and dict(secret_env),
        }

    def shell(
        self,
        *,
        cwd: str | None = None,
        cols: int = 120,
        rows: int = 30,
        secret_env: Mapping[str, str] | None = None,
    ) -> "Opening[Shell]":
        """Open an interactive shell."""
        return opening(self.shells.open(cwd=cwd, cols=cols, rows=rows, secret_env=secret_env))

    def service(
        self,
        name: str,
        command: words.Command,
        *,
        cwd: str | None = None,
        ready: Mapping[str, str] | None = None,
        ready_timeout: float = 30,
        ready_interval_ms: int = 500,
        restart: str | None = None,
        publish: Iterable[int | tuple[int, int]] = (),
        secret_env: Mapping[str, str] | None = None,
    ) -> "Opening[Service]":
        """Start a service; see :meth:`Services.start`."""
        return opening(
            self.services.start(
                name,
                command,
                cwd=cwd,
                ready=ready,
                ready_timeout=ready_timeout,
                ready_interval_ms=ready_interval_ms,
                restart=restart,
                publish=publish,
                secret_env=secret_env,
            )
        )

    # Files and changes

    async def push(
        self,
        path: str | os.PathLike[str],
        dest: str = "/workspace",
        *,
        exclude: Iterable[str] = (),
        gitignore: bool = False,
        skip_special: bool = False,
        whole: bool = False,
    ) -> Push:
        """Put a directory or tar archive of this machine into the workspace, all of it or nothing.

        What is there and not in it stays. ``exclude`` has patterns as in .gitignore;
        ``gitignore`` leaves out what git ignores. Of a directory that was pushed before only what
        differs is sent, unless ``whole`` asks for all.
        """
        from pyro_mcp._trees import transfer

        base = self._at.base
        return Push.of(
            await apart(
                lambda: transfer.push(
                    base,
                    transfer.source(path, exclude=exclude, gitignore=gitignore, skip_special=skip_special),
                    dest,
                    whole=whole,
                )
            )
        )

    async def export(
        self,
        path: str,
        output: str | os.PathLike[str],
        *,
        tar: bool = False,
        force: bool = False,
        allow_autorun: bool = False,
        allow_collisions: bool = False,
    ) -> Export:
        """Bring a file, directory or link to a path of this machine, where nothing may be yet.

        It appears there when it is whole. ``tar`` makes it an archive, ``force`` replaces what is
        there. What git would run or obey is left out unless it is as in the seed;
        ``allow_autorun`` brings it along. ``warnings`` of the result tell what to look at.
        """
        from pyro_mcp._trees import transfer

        base = self._at.base
        done = await apart(
            lambda: transfer.export(
                base,
                path,
                output,
                tar=tar,
                force=force,
                allow_autorun=allow_autorun,
                allow_collisions=allow_collisions,
            )
        )
        return Export.of(done)

    async def diff(self, *paths: str, against: str = "baseline", no_patch: bool = False) -> "Diff":
        """Tell what is not as it was right after create, or in a snapshot."""
        from pyro_mcp._models.diff import Diff

        query: Query = {"path": paths, "against": against, "no_patch": no_patch}
        return await ask(
            Diff,
            self._at,
            "diff workspace",
            "GET /diff",
            query=query,
            within=limits.TREE,
            limit=limits.DIFF_REPLY,
        )

    async def patch(
        self,
        output: "str | os.PathLike[str] | BinaryIO",
        *paths: str,
        against: str = "baseline",
        force: bool = False,
    ) -> "DiffPatched":
        """Write what :meth:`diff` tells as one patch for git, of any length."""
        from pyro_mcp._models.diff import DiffPatched
        from pyro_mcp._trees import transfer

        query: Query = {"path": paths, "against": against, "format": "patch"}
        question = Question("diff workspace", "GET", "/diff", query)
        base = self._at.base
        return DiffPatched.of(await apart(lambda: transfer.save(base, question, output, force=force)))

    async def apply_patch(
        self, patch: str | bytes, *, dry_run: bool = False, max_bytes: int = 64 << 20
    ) -> "PatchResult":
        """Apply a patch as git diff or diff -u prints it, all of it or nothing."""
        from pyro_mcp._models.files import PatchResult

        data = patch.encode() if isinstance(patch, str) else bytes(patch)
        question = Question(
            "apply patch",
            "POST",
            "/patch",
            {"max_bytes": max_bytes, "dry_run": dry_run},
            data,
            content_type="text/x-diff",
            within=limits.LIST + len(data) / limits.SLOWEST,
            limit=limits.PATCH_REPLY,
        )
        return PatchResult.of(await self._at.ask(question))

    async def fork(
        self,
        count: int = 1,
        *,
        name: str | None = None,
        snapshot: str | None = None,
        memory: bool = False,
        allow_host_compat: bool = False,
    ) -> "tuple[Workspace, ...]":
        """Make workspaces that begin with the disk of this one, or with a snapshot of it.

        With ``memory`` they have its running processes, too. Each is deleted at the end of its own
        ``with`` block.
        """
        body: Body = {
            "count": count,
            "name": name,
            "from": snapshot,
            "memory": memory,
            "allow_host_compat": allow_host_compat,
        }
        made = await ask(
            Forked,
            self._at.client,
            "fork workspace",
            f"POST {self._path('/fork')}",
            body=body,
            within=limits.CREATE,
        )
        client = self._at.client
        return tuple(
            Workspace(client.workspace(one.workspace_id), one, owned=True) for one in made.workspaces
        )

    async def snapshot(self, name: str) -> "Snapshot":
        """Save the disk under a name."""
        return await self.snapshots.create(name)
