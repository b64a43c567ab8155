"""Makes a file or directory of this machine appear when it is whole, and not before."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pyro_mcp._api.errors import DeniedError, ExistsError, InvalidError

_TAKEN = "name a path where nothing is yet, or pass force=True"


class Stage:
    """A private directory beside the place where something is to be."""

    def __init__(self, output: Path, directory: Path, *, force: bool) -> None:
        self.output = output
        self.directory = directory
        self._force = force

    def publish(self, made: Path) -> None:
        """Put what was made below ``directory`` into its place, in one step."""
        try:
            if self._force and os.path.lexists(self.output):
                self._replace(made)
            elif made.is_dir() and not made.is_symlink():
                _place_directory(made, self.output)
            else:
                _place_file(made, self.output)
        except FileExistsError as e:
            raise taken(self.output) from e

    def _replace(self, made: Path) -> None:
        if self.output.is_dir() and not self.output.is_symlink():
            old = self.directory / "old"
            self.output.rename(old)
            try:
                made.rename(self.output)
            except BaseException:
                old.rename(self.output)
                raise
        elif made.is_dir() and not made.is_symlink():
            self.output.unlink()
            _place_directory(made, self.output)
        else:
            made.replace(self.output)


def _place_file(made: Path, output: Path) -> None:
    try:
        os.link(made, output, follow_symlinks=False)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        output.touch(exist_ok=False)
        try:
            made.replace(output)
        except BaseException:
            output.unlink()
            raise


def _place_directory(made: Path, output: Path) -> None:
    mode = made.stat().st_mode & 0o777
    output.mkdir()  # fails where anything is; a rename would replace an empty directory
    try:
        made.chmod(0o700)
        made.rename(output)
        output.chmod(mode)
    except BaseException:
        with contextlib.suppress(OSError):
            output.rmdir()
        raise


def taken(output: Path) -> ExistsError:
    """Return the error of a place where something is."""
    return ExistsError(f"{output} exists already", hint=_TAKEN)


@contextlib.contextmanager
def staged(output: str | os.PathLike[str], *, force: bool = False) -> Iterator[Stage]:
    """Give a stage, of which nothing is left at the end. Missing parents are made."""
    target = _target(output)
    if os.path.lexists(target):
        if not force:
            raise taken(target)
        _may_replace(target)
    made = _make_parents(target)
    directory = None
    try:
        directory = Path(tempfile.mkdtemp(prefix=".pyro-export-", dir=target.parent))
        yield Stage(target, directory, force=force)
    finally:
        if directory is not None:
            _remove(directory)
        for parent in made:  # those that were made for nothing
            with contextlib.suppress(OSError):
                parent.rmdir()


def _target(output: str | os.PathLike[str]) -> Path:
    text = os.fspath(output)
    if not text or "\0" in text:
        raise InvalidError("output is empty or holds a zero byte", hint="name a path of this machine")
    path = Path(text).expanduser().absolute()
    if path.name in ("", ".."):
        raise InvalidError(f"output {text!r} has no name of its own", hint="name a path of this machine")
    # Links on the way are the user's own, and followed this once.
    return path.parent.resolve() / path.name


def _make_parents(target: Path) -> list[Path]:
    missing = [parent for parent in target.parents if not os.path.lexists(parent)]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InvalidError(
            f"the directory for {target}: {e.strerror}",
            hint="name a path whose directory is there or can be made",
        ) from e
    return missing


def _may_replace(target: Path) -> None:
    """Refuse to replace a directory that more depends on than its user thinks of."""
    if target.is_symlink() or not target.is_dir():
        return
    held = {"the current directory": Path.cwd(), "the home directory": Path.home()}
    for what, path in held.items():
        if path.resolve().is_relative_to(target.resolve()):
            raise DeniedError(f"{target} holds {what} and is not replaced", hint="name a new path")


def _remove(directory: Path) -> None:
    """Remove a tree whose directories may have modes that are in the way."""
    for top, dirs, _ in os.walk(directory):
        for name in dirs:
            path = Path(top, name)
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(directory, ignore_errors=True)
