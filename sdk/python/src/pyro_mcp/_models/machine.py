"""Environments, and what a machine can do."""

from dataclasses import dataclass

from pyro_mcp._models.base import Model


@dataclass(frozen=True)
class Environment(Model):
    """A root file system that sandboxes can begin with."""

    name: str
    version: str
    description: str
    default_packages: tuple[str, ...]
    distribution: str
    distribution_version: str
    platform: str  # as Doctor.Platform
    oci_registry: str | None
    oci_repository: str | None
    oci_reference: str | None
    source_digest: str | None
    compatibility: str
    catalog_version: str
    installed: bool
    cache_dir: str
    install_dir: str


@dataclass(frozen=True)
class EnvironmentState(Model):
    """What is known of an environment before it is used."""

    name: str
    state: str
    reason: str | None  # why it is not warm
    prepared_at: float | None  # when it was tried last; null: never


@dataclass(frozen=True)
class PrepareStep(Model):
    """One thing that was tried."""

    name: str  # create, exec, reset, delete
    duration_ms: int


@dataclass(frozen=True)
class Prepare(Model):
    """What came of trying an environment."""

    environment: str
    state: str  # now: always Warm, as what fails is an error
    state_before: str
    executed: bool  # false: it was warm already, and nothing was done
    reason: str | None  # why it was done; null where it was not
    prepared_at: float  # by this call, or by an earlier one
    engine: str  # what ran it
    duration_ms: int  # of all steps
    steps: tuple[PrepareStep, ...]  # in their order; those of the earlier call where nothing was done


@dataclass(frozen=True)
class DoctorCheck(Model):
    """One thing that was looked at."""

    name: str
    result: str
    reason: str  # what was found, never empty
    next_step: str | None  # what to do about it; null where nothing is to be done


@dataclass(frozen=True)
class DoctorKVM(Model):
    """The state of /dev/kvm for the calling user."""

    exists: bool
    readable: bool
    writable: bool


@dataclass(frozen=True)
class DoctorNetworking(Model):
    """Says what a network for guests could be built from."""

    enabled_by_default: bool
    tun_available: bool
    ip_binary: str | None
    nft_binary: str | None
    iptables_binary: str | None
    ip_forward_enabled: bool


@dataclass(frozen=True)
class DoctorCapabilities(Model):
    """Says what sandboxes can do on this machine."""

    supports_vm_boot: bool
    supports_guest_exec: bool
    supports_guest_network: bool
    reason: str | None  # why not all of them


@dataclass(frozen=True)
class DoctorRuntime(Model):
    """The installation that was found: where its parts lie, and what they can do."""

    bundle_root: str
    manifest_path: str | None
    firecracker_bin: str | None
    jailer_bin: str | None
    guest_agent_path: str | None
    guest_init_path: str | None
    artifacts_dir: str | None
    artifacts_present: bool
    notice_path: str | None
    bundle_version: str
    component_versions: dict[str, str]
    capabilities: DoctorCapabilities
    catalog_version: str
    cache_dir: str


@dataclass(frozen=True)
class DoctorEngine(Model):
    """One engine on this machine."""

    name: str
    available: bool
    isolation: str  # sentry, microvm or none
    needs_consent: bool
    why: str | None  # the step that failed; null where available
    hint: str | None  # what to do about it
    weakens: tuple[str, ...]  # what is weaker here than it could be, each a sentence


@dataclass(frozen=True)
class Doctor(Model):
    """What was found out about this machine."""

    platform: str  # GOOS-GOARCH in the words of uname: linux-x86_64
    runtime_ok: bool  # at least one isolating engine runs here
    issues: tuple[str, ...]  # each a sentence with its next step; empty where all is well
    kvm: DoctorKVM
    networking: DoctorNetworking
    runtime: DoctorRuntime | None  # null where no engine runs
    engines: tuple[DoctorEngine, ...]  # in order of preference
    checks: tuple[DoctorCheck, ...]  # all that was looked at
    fixed: tuple[str, ...]  # what this call has put right, where it was asked to
    environment: EnvironmentState | None


@dataclass(frozen=True)
class EnvironmentList(Model):
    """The root file systems that a machine has."""

    catalog_version: str
    environments: tuple[Environment, ...]
