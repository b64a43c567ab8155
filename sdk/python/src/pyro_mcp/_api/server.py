"""A pyro of this program's own: `pyro serve --private`, started when it is first needed.

It ends with this program, whatever ends that: its standard input is a pipe, and the other
end of it is here. Workspaces are not its children and live on.
"""

import atexit
import contextlib
import json
import os
import select
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyro_mcp._api import address, errors
from pyro_mcp._api.endpoint import Endpoint

if TYPE_CHECKING:
    import subprocess

_START = 30.0  # seconds until it must listen
_STOP = 5.0  # seconds that it may take to end
_MAX_LINE = 64 << 10  # of what it says when it is ready
_LOG = 64 << 10  # bytes of what it prints that are kept
_OP = "start pyro"
_HINT = "install pyro, or name its program in PYRO_BINARY or a running one in PYRO_URL"


def find_binary(environment: Mapping[str, str] = os.environ) -> str:
    """Return the path of `pyro`: PYRO_BINARY, or that beside this package, or that in PATH."""
    import shutil
    from pathlib import Path

    if named := environment.get("PYRO_BINARY"):
        return named
    bundled = Path(__file__).parents[1] / "bin" / "pyro"
    if os.access(bundled, os.X_OK):
        return str(bundled)
    for directory in (environment.get("PATH") or os.defpath).split(os.pathsep):
        found = shutil.which("pyro", path=directory)
        if found is not None and not _is_ours(found):
            return found
    raise errors.UnavailableError(f"{_OP}: there is no program `pyro`", hint=_HINT, op=_OP)


def _is_ours(path: str) -> bool:
    """Report whether a program is the script of this package, which would only call this again."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib is not read for that
            return file.read(2) == b"#!" and b"pyro_mcp" in file.read(4096)
    except OSError:
        return False


class Server:
    """A private server and the way to it."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._extra = dict(environment or {})
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._endpoint: Endpoint | None = None
        self._log = -1
        self.last_words = ""  # of one that has gone by itself

    def running(self) -> Endpoint | None:
        """Return the way to the server, or None if it does not run."""
        process = self._process  # another thread may end it meanwhile
        if process is None or process.poll() is not None:
            return None
        if self._lock.acquire(blocking=False):  # without it the log might be another file by now
            try:
                self._trim()
            finally:
                self._lock.release()
        return self._endpoint

    def endpoint(self) -> Endpoint:
        """Return the way to a server that runs; a new one is started if need be."""
        with self._lock:
            if self._endpoint is None or self._process is None or self._process.poll() is not None:
                self._discard()
                self._start()
            assert self._endpoint is not None  # noqa: S101 - for the type checker
            return self._endpoint

    def failed(self, endpoint: Endpoint) -> bool:
        """Note that nobody listens there. False: it is known that somebody does."""
        import subprocess

        with self._lock:
            if endpoint is not self._endpoint or self._process is None:
                return True  # another call has noticed before
            try:  # it may be about to end
                self._process.wait(0.5)
            except subprocess.TimeoutExpired:
                return False
            self.last_words = _last_error(self.said())
            self._discard()
            return True

    def said(self) -> str:
        """Return the end of what the server has printed."""
        if self._log < 0:
            return ""
        size = os.fstat(self._log).st_size
        tail = os.pread(self._log, _LOG, max(0, size - _LOG))
        return tail.decode("utf-8", "replace").strip()

    def _trim(self) -> None:
        """Let what the server has printed grow no longer than it may."""
        # A thread that reads a pipe would make every fork of this program a risk.
        with contextlib.suppress(OSError):
            if self._log >= 0 and os.fstat(self._log).st_size > 8 * _LOG:
                os.ftruncate(self._log, 0)

    def close(self) -> None:
        """End the server. The next call starts another one."""
        with self._lock:
            self._discard()

    def after_fork(self) -> None:
        """Forget the server, which is the parent's. The next call starts one of the child's."""
        self._lock = threading.Lock()
        process, self._process = self._process, None
        if self._endpoint is not None:
            self._endpoint.after_fork()
            self._endpoint = None
        if self._log >= 0:
            os.close(self._log)
            self._log = -1
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()  # or the server would live as long as this child
            process.returncode = 0  # it is no child of this process

    def _start(self) -> None:
        import fcntl
        import subprocess

        environment = {**os.environ, **self._extra}
        environment.pop("PYRO_URL", None)
        command = [find_binary(environment), "serve", "--private", "--json", "--no-mcp"]
        self._log = os.memfd_create("pyro-serve", os.MFD_CLOEXEC)
        fcntl.fcntl(self._log, fcntl.F_SETFL, os.O_APPEND)  # so that it can be cut
        try:
            # A session of its own: the terminal's interrupt is for this program.
            self._process = subprocess.Popen(  # noqa: S603 - the user's own program
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=environment,
                start_new_session=True,
            )
            self._endpoint = Endpoint(address.parse(self._ready(self._process)))
        except errors.PyroError:  # some of which are OSErrors
            self._discard()
            raise
        except OSError as e:
            self._discard()
            raise errors.UnavailableError(f"{_OP}: {command[0]}: {e.strerror}", hint=_HINT, op=_OP) from e
        except BaseException:
            self._discard()
            raise

    def _ready(self, process: "subprocess.Popen[bytes]") -> str:
        """Wait until it says where it listens."""
        out = process.stdout
        assert out is not None  # noqa: S101 - a pipe was asked for
        line = bytearray()
        end = time.monotonic() + _START
        poll = select.poll()
        poll.register(out, select.POLLIN)
        while not line.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or len(line) > _MAX_LINE:
                raise self._unready(f"it does not listen after {_START:g} s")
            if poll.poll(left * 1000):
                data = os.read(out.fileno(), 4096)
                if not data:
                    process.wait(_STOP)
                    raise self._unready(f"it ended with status {process.returncode}")
                line += data
        try:
            url = json.loads(line)["url"]
        except (ValueError, KeyError, TypeError) as e:
            raise self._unready(f"it said {bytes(line[:200])!r}") from e
        return str(url)

    def _unready(self, what: str) -> errors.PyroError:
        said = _last_error(self.said())
        text = f"{_OP}: {what}" + (f": {said}" if said else "")
        return errors.UnavailableError(text, hint="`pyro doctor` shows what is wrong", op=_OP)

    def _discard(self) -> None:
        """End the process, if there is one, and forget it."""
        process, self._process = self._process, None
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.close()
        if process is not None:
            _end(process)
        if self._log >= 0:
            os.close(self._log)
            self._log = -1


def _last_error(said: str) -> str:
    """Return what a program said last, in one line."""
    lines = [line for line in said.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[-500:]


def _end(process: "subprocess.Popen[bytes]") -> None:
    import subprocess

    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP)
    finally:
        if process.stdout is not None:
            process.stdout.close()


_servers: dict[tuple[tuple[str, str], ...], Server] = {}
_servers_lock = threading.Lock()


def private(environment: Mapping[str, str] | None = None) -> Server:
    """Return this program's server with those variables beside its own."""
    key = tuple(sorted((environment or {}).items()))
    with _servers_lock:
        if key not in _servers:
            _servers[key] = Server(environment)
        return _servers[key]


def _close_all() -> None:
    for server in list(_servers.values()):
        server.close()


def _after_fork() -> None:
    global _servers_lock  # noqa: PLW0603 - the parent's may be held by a thread that is not here
    _servers_lock = threading.Lock()
    for server in list(_servers.values()):
        server.after_fork()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
