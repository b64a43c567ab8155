"""Files, patches and disks."""

from dataclasses import dataclass

from pyro_mcp._models.base import Model


@dataclass(frozen=True)
class FileEntry(Model):
    """One thing in a workspace."""

    path: str  # absolute in the guest
    artifact_type: str
    size_bytes: int  # 0 for a directory, the length of a symlink's target
    link_target: str | None  # of a symlink, else null
    mode: str  # four octal digits, as 0644
    modified_at: float
    path_base64: str | None  # null where Path is exact


@dataclass(frozen=True)
class FileList(Model):
    """Lists a directory by name, each directory followed by what is in it where that was asked for."""

    workspace_id: str
    path: str
    artifact_type: str  # of Path: a directory, or what the one entry is
    recursive: bool
    entries: tuple[FileEntry, ...]
    count: int
    truncated: bool  # more would follow
    next_after: str | None  # the After that goes on where this ends; null unless Truncated
    execution_mode: str


@dataclass(frozen=True)
class FileStat(FileEntry):
    """What one path is."""

    workspace_id: str
    execution_mode: str


@dataclass(frozen=True)
class FileRead(Model):
    """The content of a file, or a part of it."""

    workspace_id: str
    path: str
    size_bytes: int  # of the whole file
    max_bytes: int
    offset: int
    bytes_read: int  # of the file, which Content stands for
    content: str  # what is not UTF-8, or cut, is U+FFFD
    encoding: str  # EncodingUTF8 or EncodingLossy
    content_base64: str | None  # the bytes themselves; null unless asked for
    truncated: bool  # the file goes on at Offset + BytesRead
    execution_mode: str


@dataclass(frozen=True)
class FileRange(Model):
    """Says what of a file was sent."""

    workspace_id: str
    path: str
    size_bytes: int  # of the whole file when it was opened
    offset: int
    bytes_read: int
    truncated: bool  # the file goes on
    mode: str
    modified_at: float
    execution_mode: str


@dataclass(frozen=True)
class FileWrite(Model):
    """Says what was written."""

    workspace_id: str
    path: str
    size_bytes: int
    bytes_written: int
    created: bool  # there was none
    execution_mode: str


@dataclass(frozen=True)
class FileDelete(Model):
    """Says what is gone."""

    workspace_id: str
    path: str
    deleted: bool  # always true
    execution_mode: str


@dataclass(frozen=True)
class FileMkdir(Model):
    """Says which directory is there now."""

    workspace_id: str
    path: str
    created: bool  # it was not there before
    execution_mode: str


@dataclass(frozen=True)
class FileMove(Model):
    """Says what was moved."""

    workspace_id: str
    from_path: str
    to_path: str
    replaced: bool  # something had that name before
    execution_mode: str


@dataclass(frozen=True)
class PatchSummary(Model):
    """Counts entries."""

    total: int
    added: int
    modified: int
    deleted: int
    type_changed: int


@dataclass(frozen=True)
class PatchEntry(Model):
    """One file that a patch is about."""

    path: str  # absolute in the guest; what is not UTF-8 is U+FFFD
    status: str
    from_path: str | None  # of a file that was renamed or copied, what it was; else null
    path_base64: str | None  # null where Path is exact


@dataclass(frozen=True)
class PatchResult(Model):
    """Says what came of a patch."""

    workspace_id: str
    changed: bool  # of a check: would be
    checked: bool  # it was only tried
    summary: PatchSummary
    entries: tuple[PatchEntry, ...]  # by path
    patch: str  # as it was given, but for secrets; what is not UTF-8 is U+FFFD
    patch_truncated: bool  # it had more than MaxPatchEcho bytes
    execution_mode: str


@dataclass(frozen=True)
class DiskList(Model):
    """Lists a directory of a disk by path."""

    workspace_id: str
    path: str
    recursive: bool
    entries: tuple[FileEntry, ...]
    count: int
    truncated: bool  # there are more than MaxListEntries


@dataclass(frozen=True)
class DiskRead(Model):
    """The beginning of a file on a disk."""

    workspace_id: str
    path: str
    size_bytes: int  # of the whole file
    max_bytes: int
    bytes_read: int  # of the file, which Content stands for
    content: str  # what is not UTF-8, or cut, is U+FFFD
    encoding: str  # EncodingUTF8 or EncodingLossy
    truncated: bool


@dataclass(frozen=True)
class DiskExport(Model):
    """Says what was written to a file of this machine."""

    workspace_id: str
    output_path: str
    disk_format: str
    bytes_written: int  # the length of the file
    path: str | None  # of a tar: what it holds
    entry_count: int
    skipped_count: int  # special files
