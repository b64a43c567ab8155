"""Changes, snapshots and resets."""

from dataclasses import dataclass

from pyro_mcp._models.base import Model
from pyro_mcp._models.workspace import WorkspaceInfo


@dataclass(frozen=True)
class DiffSummary(Model):
    """Counts entries, those that are left out of the answer too."""

    total: int
    added: int
    modified: int
    deleted: int
    type_changed: int
    text_patched: int  # changes of lines
    non_text: int  # everything else


@dataclass(frozen=True)
class DiffEntry(Model):
    """One file, symlink or empty directory that is not as it was."""

    path: str  # relative to /workspace; what is not UTF-8 is U+FFFD
    path_base64: str | None  # the bytes of Path where that is not UTF-8, else null
    status: str
    artifact_type: str  # file, symlink or directory: what it is now, or was
    text_patch: str | None  # unified, from the --- line on; null where there is none
    old_mode: str | None  # as git writes it: 100644, 100755, 120000; null for directories
    new_mode: str | None  # the same
    old_bits: str | None  # the twelve bits in octal, where they are on both sides and differ
    new_bits: str | None  # the same
    old_target: str | None  # of a symlink
    new_target: str | None
    old_size: int | None  # of a file, in bytes
    new_size: int | None
    binary: bool | None  # of a file: it is not text on one of the sides; null where nobody looked
    insertions: int | None  # lines; null where lines are not compared
    deletions: int | None
    omitted: str | None  # why it has no text patch, or is not in Patch; else null
    flagged: str | None  # why it may run by itself on the host, if it may


@dataclass(frozen=True)
class DiffAgainst(Model):
    """What a workspace was compared with."""

    kind: str  # baseline or named
    snapshot_name: str


@dataclass(frozen=True)
class Diff(Model):
    """What is not in a workspace as it was."""

    workspace_id: str
    changed: bool
    summary: DiffSummary
    entries: tuple[DiffEntry, ...]  # by path
    entries_omitted: int  # beyond MaxDiffEntries
    patch: str  # as git diff --binary prints it
    patch_truncated: bool  # some of it is left out: what git takes is then Workspace.Patch
    against: DiffAgainst
    paths: tuple[str, ...]  # that were asked for; none: all
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class DiffPatched(Model):
    """Says what a patch holds, at its end."""

    workspace_id: str
    summary: DiffSummary
    redacted: bool  # it holds the value of a secret no more, and cannot be applied
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Snapshot(Model):
    """A state of a workspace to which it can be reset."""

    workspace_id: str
    snapshot_name: str
    kind: str  # baseline or named
    created_at: float
    entry_count: int  # in /workspace
    bytes_written: int  # of the files in /workspace
    deletable: bool
    method: str  # disk: everything, also outside /workspace; tree: /workspace alone
    disk_bytes: int  # what it takes on this machine


@dataclass(frozen=True)
class SnapshotCreate(Model):
    """A snapshot that was just made."""

    workspace_id: str
    snapshot: Snapshot
    execution_mode: str


@dataclass(frozen=True)
class SnapshotList(Model):
    """The baseline, and the snapshots, the newest first."""

    workspace_id: str
    count: int
    snapshots: tuple[Snapshot, ...]


@dataclass(frozen=True)
class SnapshotDelete(Model):
    """Says that nothing of a snapshot is left."""

    workspace_id: str
    snapshot_name: str
    deleted: bool


@dataclass(frozen=True)
class ResetSource(Model):
    """What a workspace was reset to."""

    snapshot_name: str
    kind: str
    destination: str
    entry_count: int
    bytes_written: int


@dataclass(frozen=True)
class Reset(WorkspaceInfo):
    """A workspace that has just been reset, and to what."""

    workspace_reset: ResetSource
