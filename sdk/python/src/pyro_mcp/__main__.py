"""The program `pyro`, by the name of this package."""

import os
import signal
import sys

from pyro_mcp._api.errors import PyroError
from pyro_mcp._api.server import find_binary


def main() -> None:
    """Become `pyro`."""
    try:
        binary = find_binary()
        # Python ignores them, and what it becomes would, too.
        for name in ("SIGPIPE", "SIGXFSZ"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.execv(binary, ["pyro", *sys.argv[1:]])  # noqa: S606 - the user's own program
    except PyroError as e:
        sys.exit(f"[error] {e}; {e.hint}")
    except OSError as e:
        sys.exit(f"[error] {binary}: {e.strerror}")


if __name__ == "__main__":
    main()
