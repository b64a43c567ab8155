"""What is in a workspace: files, differences, patches, and whole trees in and out."""

from os import PathLike

from pyro_mcp._api import limits
from pyro_mcp._api.errors import InvalidError
from pyro_mcp._api.question import Question
from pyro_mcp._legacy import checks
from pyro_mcp._legacy.face import JSON, Face
from pyro_mcp._trees import transfer

_MAX_TEXT = 1 << 20  # bytes of a file that is written


class Files(Face):
    """What is in a workspace."""

    def push_workspace_sync(
        self, workspace_id: str, source_path: str | PathLike[str], *, dest: str = "/workspace"
    ) -> JSON:
        """Put a directory or tar archive of this machine into a workspace. Nothing there is deleted."""
        destination = checks.text("dest", dest)
        return transfer.push(self._workspace(workspace_id), transfer.source(source_path), destination)

    def export_workspace(self, workspace_id: str, path: str, *, output_path: str | PathLike[str]) -> JSON:
        """Bring a file or directory out to a new path of this machine."""
        return transfer.export(
            self._workspace(workspace_id),
            checks.text("path", path),
            output_path,
            tar=False,
            force=False,
            allow_autorun=False,
            allow_collisions=False,
        )

    def diff_workspace(self, workspace_id: str) -> JSON:
        """Say what is not as it was when the workspace was made."""
        return self._inside("diff", workspace_id, "GET", "/diff", within=limits.LIST, limit=limits.DIFF_REPLY)

    def list_workspace_files(
        self, workspace_id: str, *, path: str = "/workspace", recursive: bool = False
    ) -> JSON:
        """List a directory."""
        return self._inside(
            "list files",
            workspace_id,
            "GET",
            "/files",
            query={"path": checks.text("path", path), "recursive": bool(recursive)},
            within=limits.LIST,
            limit=limits.LIST_REPLY,
        )

    def read_workspace_file(self, workspace_id: str, path: str, *, max_bytes: int = 65536) -> JSON:
        """Read the beginning of a file as text."""
        return self._inside(
            "read file",
            workspace_id,
            "GET",
            "/files/read",
            query={"path": checks.text("path", path), "max_bytes": checks.positive("max_bytes", max_bytes)},
            within=limits.FILE,
            limit=limits.FILE_REPLY,
        )

    def write_workspace_file(self, workspace_id: str, path: str, *, text: str) -> JSON:
        """Write a file."""
        data = _encoded("text", text)
        if len(data) > _MAX_TEXT:
            raise InvalidError(f"text has {len(data)} bytes, allowed are {_MAX_TEXT}")
        question = Question(
            "write file",
            "PUT",
            "/files/content",
            {"path": checks.text("path", path)},
            data,
            "application/octet-stream",
            within=limits.FILE,
        )
        return self._workspace(workspace_id).ask(question)

    def apply_workspace_patch(self, workspace_id: str, *, patch: str) -> JSON:
        """Apply a unified diff: all of it, or nothing."""
        data = _encoded("patch", checks.text("patch", patch))
        question = Question(
            "apply patch",
            "POST",
            "/patch",
            None,
            data,
            "text/x-patch",
            within=limits.LIST,
            limit=limits.PATCH_REPLY,
        )
        return self._workspace(workspace_id).ask(question)


def _encoded(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise InvalidError(f"{name} is {type(value).__name__}, and has to be a text")
    try:
        return value.encode()
    except UnicodeEncodeError as e:
        raise InvalidError(f"{name} cannot be UTF-8: {e.reason}") from e
