"""What the agent answers, as typed results.

All of it is the guest's word. Some results can also be read like a dict by the names of
their fields, as programs for the product that pyro succeeds do. Fields that only pyro's
agent fills stand last and have a default. Times are Unix seconds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any


class Record(Mapping[str, Any]):
    """A dataclass that can be read like a dict; it equals a dict of the same content."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        if name not in self._names():
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> tuple[str, ...]:
        return tuple(field.name for field in fields(self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class GuestExecResponse:
    """What came of a command.

    ``exit_code`` is minus the signal's number where a signal ended the shell, 124 after a
    timeout, -1 where the agent did not say. Of a stream that is marked as truncated head
    and tail are here.
    """

    stdout: str
    stderr: str
    exit_code: int
    duration_ms: int
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    reason: str = ""  # timeout, oom or canceled, where it was one of them


@dataclass(frozen=True)
class GuestArchiveResponse:
    """What was unpacked in the guest."""

    destination: str
    entry_count: int  # every member, directories and links too
    bytes_written: int  # of regular files


@dataclass(frozen=True)
class GuestArchiveExportResponse:
    """What was exported, as the guest describes it."""

    workspace_path: str
    artifact_type: str  # file, directory or symlink
    entry_count: int
    bytes_written: int
    archive_size: int = 0  # bytes of the tar; this was counted here


@dataclass(frozen=True, eq=False)
class GuestEntry(Record):
    """A thing in a directory."""

    path: str  # absolute in the guest
    artifact_type: str  # file, directory or symlink
    size_bytes: int  # 0 for a directory, the length of a symlink's target
    link_target: str | None  # of a symlink


@dataclass(frozen=True, eq=False)
class GuestListResponse(Record):
    """A directory with what is in it, or the one thing that the path is."""

    path: str
    artifact_type: str
    entries: list[GuestEntry]


@dataclass(frozen=True, eq=False)
class GuestWorkspaceFileReadResponse(Record):
    """The content of a file."""

    path: str
    size_bytes: int
    content_bytes: bytes


@dataclass(frozen=True, eq=False)
class GuestWorkspaceFileWriteResponse(Record):
    """What was written."""

    path: str
    size_bytes: int
    bytes_written: int


@dataclass(frozen=True, eq=False)
class GuestDeleteResponse(Record):
    """What was deleted."""

    path: str
    deleted: bool


@dataclass(frozen=True)
class GuestShellSummary:
    """A shell."""

    shell_id: str
    cwd: str
    cols: int
    rows: int
    state: str  # running or stopped
    started_at: float
    ended_at: float | None
    exit_code: int | None  # minus the signal's number where a signal ended it


@dataclass(frozen=True)
class GuestShellReadResponse(GuestShellSummary):
    """A piece of a shell's output. Cursors count code points."""

    cursor: int
    next_cursor: int
    output: str
    truncated: bool  # more is there already, or some before it is lost
    skipped_chars: int = 0  # lost between the cursor that was asked for and ``cursor``


@dataclass(frozen=True, eq=False)
class GuestShellWriteResponse(Record, GuestShellSummary):
    """What was typed into a shell."""

    input_length: int  # in code points, without the added line feed
    append_newline: bool


@dataclass(frozen=True, eq=False)
class GuestShellSignalResponse(Record, GuestShellSummary):
    """What was sent to a shell."""

    signal: str  # in upper case


@dataclass(frozen=True, eq=False)
class GuestShellCloseResponse(Record, GuestShellSummary):
    """A shell as it ended."""

    closed: bool


@dataclass(frozen=True, eq=False)
class GuestServiceResponse(Record):
    """A service."""

    service_name: str
    command: str
    cwd: str
    state: str  # running, exited, stopped or failed
    started_at: float
    readiness: dict[str, str] | None
    ready_at: float | None
    ended_at: float | None
    exit_code: int | None  # minus the signal's number where a signal ended it
    pid: int | None
    stop_reason: str | None
    restart: str
    restart_count: int
    failure: str  # why it failed


@dataclass(frozen=True, eq=False)
class GuestServiceLogsResponse(GuestServiceResponse):
    """A service and what it printed."""

    stdout: str
    stderr: str
    tail_lines: int | None  # of each stream; None means all that is kept
    truncated: bool
