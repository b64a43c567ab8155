"""How a workspace lives, and what happened to it."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING

from pyro_mcp._api import frames, limits, words
from pyro_mcp._api.endpoint import Held
from pyro_mcp._api.face_async import ApiWorkspace
from pyro_mcp._api.http1 import segment
from pyro_mcp._api.question import Question
from pyro_mcp._models.workspace import Deleted, Event, EventList, LogEntry, Logs, WorkspaceInfo
from pyro_mcp.aio._ask import Body, Query, ask
from pyro_mcp.aio._process import pour

if TYPE_CHECKING:
    from pyro_mcp._models.diff import Reset
    from pyro_mcp._models.summary import Summary


class Life:
    """What a workspace is asked as a whole. ``info`` is the workspace as it was last told."""

    def __init__(
        self, at: ApiWorkspace, info: WorkspaceInfo, *, owned: bool = False, held: Held | None = None
    ) -> None:
        self.info = info
        self._at = at
        self._owned = owned
        self._held = held  # the workspace is gone with it

    @property
    def id(self) -> str:
        """The workspace's id."""
        return self._at.id

    async def status(self) -> WorkspaceInfo:
        """Return the workspace as it is now."""
        return await self._manage("status of workspace", "GET", "")

    async def start(self, *, previous: bool = False, allow_host_compat: bool = False) -> WorkspaceInfo:
        """Start it from its saved disk; with previous, from the one before that."""
        body: Body = {"previous": previous, "allow_host_compat": allow_host_compat}
        return await self._manage("start workspace", "POST", "/start", body, limits.CREATE)

    async def stop(self, *, discard: bool = False) -> WorkspaceInfo:
        """Save the disk, and end all that runs; with discard without saving."""
        return await self._manage("stop workspace", "POST", "/stop", {"discard": discard}, limits.SAVE)

    async def update(
        self,
        *,
        name: str | None = None,
        clear_name: bool = False,
        labels: Mapping[str, str] | None = None,
        clear_labels: Iterable[str] = (),
        ttl: float | None = None,
    ) -> WorkspaceInfo:
        """Change what it is called, its labels, and how many seconds it lives from now on."""
        body: Body = {
            "name": name,
            "clear_name": clear_name or None,
            "labels": labels and dict(labels),
            "clear_labels": list(clear_labels) or None,
            "ttl_seconds": words.whole_seconds("ttl", ttl),
        }
        return await self._manage("update workspace", "PATCH", "", body, limits.LOGS)

    async def reset(self, snapshot: str | None = None, *, allow_host_compat: bool = False) -> "Reset":
        """Bring it back to a snapshot, or to its baseline. What runs in it ends."""
        from pyro_mcp._models.diff import Reset

        body: Body = {"snapshot": snapshot, "allow_host_compat": allow_host_compat}
        answer = await self._at.client.call(
            "POST", self._path("/reset"), body=body, timeout=limits.SAVE, op="reset workspace"
        )
        self._learn(answer)
        return Reset.of(answer)

    async def delete(self) -> Deleted:
        """Remove the workspace and everything of it."""
        answer = await self._at.client.call(
            "DELETE", self._path(), timeout=limits.SAVE, op="delete workspace"
        )
        self._at.base.client.forget(self.id)
        if self._held is not None:
            self._held.close()
        return Deleted.of(answer)

    async def logs(self, last: int = 0, *, before_resets: bool = False) -> tuple[LogEntry, ...]:
        """Return the last commands, the oldest first; 0 is all of them."""
        query: Query = {"last": last, "all": before_resets}
        found = await ask(
            Logs,
            self._at,
            "logs of workspace",
            "GET /logs",
            query=query,
            within=limits.LOGS,
            limit=limits.LOGS_REPLY,
        )
        return found.entries

    async def events(self, after: int = 0, *, follow: bool = False) -> AsyncIterator[Event]:
        """Yield what happened after the event of that number; with follow, until it stops running."""
        query: Query = {"after": after}
        if not follow:
            found = await ask(
                EventList,
                self._at,
                "events of workspace",
                "GET /events",
                query=query,
                within=limits.LOGS,
                limit=limits.SHELL_REPLY,
            )
            for event in found.events:
                yield event
            return
        question = Question("follow events", "POST", "/events/follow", query)
        async for kind, data in pour(await self._at.open(question), question.op):
            if kind == frames.STDOUT:
                yield Event.of(words.from_json(data))

    async def summary(self) -> "Summary":
        """Return one screen about the workspace: what ran, what failed, what has changed."""
        from pyro_mcp._models.summary import Summary

        return await ask(
            Summary,
            self._at,
            "sum up workspace",
            "GET /summary",
            within=limits.LOGS,
            limit=limits.SHELL_REPLY,
        )

    async def _manage(
        self, op: str, method: str, below: str, body: Body | None = None, within: float = limits.ANSWER
    ) -> WorkspaceInfo:
        answer = await self._at.client.call(method, self._path(below), body=body, timeout=within, op=op)
        self._learn(answer)
        self.info = WorkspaceInfo.of(answer)
        return self.info

    def _learn(self, answer: Mapping[str, object]) -> None:
        self._at.base.client.learn(answer)

    def _path(self, below: str = "") -> str:
        return f"/v1/workspaces/{segment(self.id)}{below}"
