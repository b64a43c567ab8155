"""One screen about a workspace."""

from dataclasses import dataclass

from pyro_mcp._models.base import Model
from pyro_mcp._models.live import PublishedPort
from pyro_mcp._models.workspace import Event, LastCommand, Secret, Seed


@dataclass(frozen=True)
class SummaryCommands(Model):
    """The commands of a workspace."""

    total: int
    failed: int
    running: int
    last: tuple[Event, ...]
    failures: tuple[Event, ...]


@dataclass(frozen=True)
class SummaryEdits(Model):
    """Counts what was done to the workspace's files from outside: what commands did is in Changes alone."""

    pushes: int
    files: int
    patches: int
    last: tuple[Event, ...]


@dataclass(frozen=True)
class SummaryChanges(Model):
    """Counts what differs from the baseline."""

    total: int
    added: int
    modified: int
    deleted: int
    type_changed: int


@dataclass(frozen=True)
class SummaryService(Model):
    """A service in one line."""

    service_name: str
    state: str
    exit_code: int | None
    stop_reason: str | None
    restart_count: int
    published_ports: tuple[PublishedPort, ...]


@dataclass(frozen=True)
class SummaryServices(Model):
    """The services of a workspace."""

    total: int
    running: int
    failed: int
    list: tuple[SummaryService, ...]  # by name, all of them


@dataclass(frozen=True)
class SummaryShells(Model):
    """Counts shells."""

    total: int
    running: int


@dataclass(frozen=True)
class SummarySnapshots(Model):
    """The snapshots that there are, by name."""

    total: int
    names: tuple[str, ...]  # the newest last, all of them


@dataclass(frozen=True)
class SummaryOutcome(Model):
    """What came of the last command that ended."""

    status: str  # see OutcomeNone and so on; running only where nothing has ended yet
    last_command: LastCommand | None


@dataclass(frozen=True)
class Summary(Model):
    """One screen about a workspace: what ran, what failed and what has changed."""

    workspace_id: str
    name: str | None
    environment: str
    engine: str
    isolation: str
    execution_mode: str
    state: str
    reason: str | None
    since: float  # creation, or the last reset
    last_activity_at: float
    expires_at: float | None
    reset_count: int
    workspace_seed: Seed
    commands: SummaryCommands
    edits: SummaryEdits
    changes: SummaryChanges | None  # against the baseline; null: see ChangesNote
    services: SummaryServices
    shells: SummaryShells
    secrets: tuple[Secret, ...]  # by name alone
    published_ports: tuple[PublishedPort, ...]
    snapshots: SummarySnapshots
    exports: tuple[Event, ...]  # what was taken out or applied back
    denials: tuple[Event, ...]  # what was refused; there is no network yet that could
    outcome: SummaryOutcome
    changes_note: str | None
    events_complete: bool
