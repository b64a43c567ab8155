"""Workspaces, what ran in them and what happened to them."""

from dataclasses import dataclass
from typing import TypeVar

from pyro_mcp._api.errors import printable
from pyro_mcp._models.base import Model

E = TypeVar("E", bound="_Ended")

_SAID = 500  # characters of what a command printed that its error tells


@dataclass(frozen=True)
class Limits(Model):
    """Says whether the limits of a workspace are enforced by the kernel."""

    enforced: bool
    why: str | None  # why not; null where they are


@dataclass(frozen=True)
class Seed(Model):
    """What was put into a workspace when it was made."""

    mode: str  # empty, directory or tar_archive
    seed_path: str | None
    destination: str
    entry_count: int
    bytes_written: int
    skipped_count: int  # special files left out
    origin_kind: str | None  # one of the Origin constants
    origin_ref: str | None  # a path of the host, or URL@REF without whatever logs in there
    origin_commit: str | None  # of OriginRepository: the commit that was put in


@dataclass(frozen=True)
class Secret(Model):
    """Names a secret of a workspace; its value is never part of any answer."""

    name: str
    source_kind: str  # literal or file


@dataclass(frozen=True)
class LastCommand(Model):
    """The newest entry of a workspace's history."""

    sequence: int
    command: str
    cwd: str
    exit_code: int
    duration_ms: int
    execution_mode: str


@dataclass(frozen=True)
class WorkspaceInfo(Model):
    """One disposable machine as its owner sees it."""

    workspace_id: str
    name: str | None
    labels: dict[str, str]
    environment: str
    environment_version: str | None
    vcpu_count: int
    mem_mib: int
    disk_mib: int
    ttl_seconds: int  # Forever: it does not expire
    idle_seconds: int
    created_at: float
    last_activity_at: float
    expires_at: float | None  # null: never
    last_saved_at: float | None  # the disk as start would bring it back
    state: str
    reason: str | None  # why it is stopped or broken
    network_policy: str
    network_enabled: bool
    allow_host_compat: bool
    guest_ip: str | None
    tap_name: str | None
    execution_mode: str
    engine: str
    isolation: str  # sentry, microvm or none
    limits: Limits
    agent_socket: str | None  # while started; answers CONNECT 5005
    control_socket: str | None  # while started; its own HTTP API, for its owner on the same machine
    workspace_path: str
    workspace_seed: Seed
    secrets: tuple[Secret, ...]
    command_count: int
    last_command: LastCommand | None
    reset_count: int
    last_reset_at: float | None
    service_count: int
    running_service_count: int
    metadata: dict[str, str]


@dataclass(frozen=True)
class WorkspaceLine(Model):
    """A line of a list."""

    workspace_id: str
    name: str | None
    labels: dict[str, str]
    environment: str
    state: str
    reason: str | None
    created_at: float
    last_activity_at: float
    expires_at: float | None  # null: never
    command_count: int
    service_count: int
    running_service_count: int


@dataclass(frozen=True)
class Deleted(Model):
    """Says that nothing of a workspace is left."""

    workspace_id: str
    deleted: bool
    reason: str


class _Ended(Model):
    """What results of commands can tell of themselves."""

    command: str
    stdout: str
    stderr: str
    exit_code: int
    reason: str | None

    @property
    def ok(self) -> bool:
        """Whether the command ended by itself with status 0."""
        return self.exit_code == 0 and not self.reason

    @property
    def timed_out(self) -> bool:
        """Whether it was ended because its time was over."""
        return self.reason == "timeout"

    def check(self: E) -> E:
        """Return the result, or raise a CommandError unless the command succeeded."""
        if not self.ok:
            raise CommandError(self)
        return self


class CommandError(RuntimeError):
    """A command did not end with status 0. ``result`` says all that is known of it."""

    def __init__(self, result: "_Ended") -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        result = self.result
        how = {"timeout": "ran out of time", "oom": "ran out of memory", "canceled": "was canceled"}
        said = result.stderr.strip() or result.stdout.strip()
        said = printable(said if len(said) <= _SAID else f"…{said[-_SAID:]}")
        text = f"command {result.command!r} {how.get(result.reason or '', f'ended with {result.exit_code}')}"
        return f"{text}: {said}" if said else text


@dataclass(frozen=True)
class CommandResult(_Ended):
    """What came of a command."""

    workspace_id: str
    environment: str
    environment_version: str | None
    command: str
    stdout: str
    stderr: str
    stdout_truncated: bool
    stderr_truncated: bool
    exit_code: int
    duration_ms: int  # measured in the guest
    execution_mode: str
    sequence: int
    cwd: str
    reason: str | None  # why it ended, where that was not its own doing: timeout, oom, canceled


@dataclass(frozen=True)
class Cleanup(Model):
    """Says that nothing of a one-shot sandbox is left."""

    vm_id: str
    deleted: bool
    reason: str


@dataclass(frozen=True)
class RunResult(_Ended):
    """What came of a one-shot `pyro run`."""

    vm_id: str
    environment: str
    environment_version: str | None
    command: str
    stdout: str
    stderr: str
    stdout_truncated: bool
    stderr_truncated: bool
    exit_code: int
    duration_ms: int
    execution_mode: str
    engine: str
    isolation: str
    limits: Limits
    reason: str | None
    cleanup: Cleanup


@dataclass(frozen=True)
class PushCounts(Model):
    """Counts the members of a pushed tree."""

    mode: str
    source_path: str
    destination: str
    entry_count: int
    bytes_written: int
    unchanged_count: int
    skipped_count: int  # special files left out


@dataclass(frozen=True)
class Push(Model):
    """What a push did."""

    workspace_id: str
    execution_mode: str
    workspace_sync: PushCounts


@dataclass(frozen=True)
class Export(Model):
    """What was brought out of a workspace."""

    workspace_id: str
    workspace_path: str  # absolute in the workspace
    output_path: str  # absolute; "-" for stdout
    artifact_type: str  # file, directory or symlink
    entry_count: int  # of a directory what is in it, at any depth; else 1
    bytes_written: int  # of files
    execution_mode: str
    format: str  # ExportDir or ExportTar
    skipped: int  # special files, and what was left out because it would run by itself
    warnings: tuple[str, ...]  # a line each, with the path first


@dataclass(frozen=True)
class LogEntry(LastCommand):
    """One command of a workspace's history."""

    stdout: str  # at most 1 MiB, head and tail
    stderr: str
    stdout_truncated: bool
    stderr_truncated: bool
    stdout_file: str | None  # null: the history holds the output itself
    stderr_file: str | None
    reason: str | None  # why it ended otherwise than by itself
    recorded_at: float
    reset_count: int


@dataclass(frozen=True)
class Logs(Model):
    """The history of a workspace, the oldest command first."""

    workspace_id: str
    count: int
    entries: tuple[LogEntry, ...]


@dataclass(frozen=True)
class Event(Model):
    """One line of a workspace's log of events."""

    sequence: int  # from 1, each used once
    at: float  # by the clock of the host
    kind: str
    name: str | None
    state: str | None
    reason: str | None
    command: str | None
    command_sequence: int | None
    exit_code: int | None
    duration_ms: int | None
    path: str | None  # in the guest
    host_path: str | None  # on this machine
    entries: int | None
    bytes: int | None
    detail: str | None  # a sentence


@dataclass(frozen=True)
class EventList(Model):
    """What is kept of a workspace's events, the oldest first."""

    workspace_id: str
    count: int
    events: tuple[Event, ...]


@dataclass(frozen=True)
class WorkspaceList(Model):
    """Every workspace, the most recently used first."""

    count: int
    workspaces: tuple[WorkspaceLine, ...]


@dataclass(frozen=True)
class Forked(Model):
    """The workspaces that were made from one."""

    workspace_id: str
    snapshot_name: str | None
    count: int
    workspaces: tuple[WorkspaceInfo, ...]
