"""What goes on living in a workspace: services, shells and secrets."""

from dataclasses import dataclass

from pyro_mcp._api.errors import printable
from pyro_mcp._models.base import Model
from pyro_mcp._models.workspace import Secret


@dataclass(frozen=True)
class Readiness(Model):
    """How one finds out that a service can be used."""

    type: str  # file, tcp, http or command
    path: str
    address: str  # HOST:PORT in the guest
    url: str
    command: str


@dataclass(frozen=True)
class PublishedPort(Model):
    """A port of the guest that can be reached from this machine."""

    host: str  # 127.0.0.1
    host_port: int
    guest_port: int
    protocol: str  # tcp


@dataclass(frozen=True)
class ServiceInfo(Model):
    """A long-running program of a workspace that outlives the call that started it."""

    workspace_id: str
    service_name: str
    state: str
    command: str
    cwd: str
    started_at: float
    ended_at: float | None
    exit_code: int | None  # minus the signal's number where a signal ended it
    pid: int | None  # in the guest
    execution_mode: str
    readiness: Readiness | None
    ready_at: float | None
    stop_reason: str | None
    restart: str  # no, or on-failure[:N]
    restart_count: int  # how often it was restarted by itself
    error: str | None  # why it failed, with the last lines it printed
    published_ports: tuple[PublishedPort, ...]


class ServiceError(RuntimeError):
    """A service does not run. ``service`` says all that is known of it."""

    def __init__(self, service: ServiceInfo) -> None:
        super().__init__(service)
        self.service = service

    def __str__(self) -> str:
        service = self.service
        why = printable(service.error or service.stop_reason or f"exit code {service.exit_code}")
        return f"service {service.service_name} is {service.state}: {why}"


@dataclass(frozen=True)
class ServiceList(Model):
    """Every service of a workspace, by name."""

    workspace_id: str
    count: int
    running_count: int
    services: tuple[ServiceInfo, ...]


@dataclass(frozen=True)
class ServiceLogs(ServiceInfo):
    """What a service has printed."""

    stdout: str
    stderr: str
    tail_lines: int | None  # null: all that is kept
    truncated: bool  # more was printed


@dataclass(frozen=True)
class ShellInfo(Model):
    """An interactive shell on a terminal in a workspace."""

    workspace_id: str
    shell_id: str
    cwd: str  # it was started in
    cols: int
    rows: int
    state: str
    started_at: float
    ended_at: float | None
    exit_code: int | None  # minus the signal's number where a signal ended it
    execution_mode: str


@dataclass(frozen=True)
class ShellList(Model):
    """Every shell of a workspace, the oldest first."""

    workspace_id: str
    count: int
    shells: tuple[ShellInfo, ...]


@dataclass(frozen=True)
class ShellRead(ShellInfo):
    """A piece of a shell's output."""

    cursor: int  # of the first code point of the output
    next_cursor: int  # to go on from
    output: str
    truncated: bool  # more is there already, or some before it is lost
    skipped_chars: (
        int  # code points between the cursor that was asked for and Cursor, which are not kept any more
    )
    plain: bool
    wait_for_idle_ms: int | None


@dataclass(frozen=True)
class ShellWrite(ShellInfo):
    """Says what was typed."""

    input_length: int  # code points, without the newline that was added
    append_newline: bool


@dataclass(frozen=True)
class ShellSignal(ShellInfo):
    """Says which signal was sent."""

    signal: str


@dataclass(frozen=True)
class ShellClose(ShellInfo):
    """A shell as it ended."""

    closed: bool


@dataclass(frozen=True)
class SecretList(Model):
    """Names the secrets of a workspace."""

    workspace_id: str
    count: int
    secrets: tuple[Secret, ...]
