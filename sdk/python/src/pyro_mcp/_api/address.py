"""Where a pyro listens."""

import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pyro_mcp._api.errors import InvalidError

_HINT = "use unix:///PATH, https://HOST:PORT, or http://HOST:PORT with a loopback address"
_MAX_TOKEN = 4096


class Address(NamedTuple):
    """A unix socket at ``path``, or else a host and a port, by TLS or not."""

    path: str | None = None
    host: str = "pyro"
    port: int = 0
    tls: bool = False
    token: str | None = None

    @property
    def name(self) -> str:
        """How errors call it."""
        if self.path is not None:
            return self.path
        return f"{'https' if self.tls else 'http'}://{self.authority}"

    @property
    def authority(self) -> str:
        """What stands in the Host header."""
        if self.path is not None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"  # without the token


def parse(url: str, token: str | None = None) -> Address:
    """Take a URL apart. A token never goes over a network in the clear."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as e:
        raise _bad(url, str(e)) from e
    if parts.username is not None or parts.query or parts.fragment:
        raise _bad("with a user, a query or a fragment", "is not taken")
    if parts.scheme == "unix":
        if parts.netloc or not parts.path.startswith("/"):
            raise _bad(url, "names no absolute path")
        return Address(path=unquote(parts.path), token=_checked(token))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise _bad(url, "is not understood")
    tls = parts.scheme == "https"
    if token and not tls and not _is_loopback(parts.hostname):
        raise _bad(url, "would show the token to the network")
    default = 443 if tls else 80
    return Address(host=parts.hostname, port=port or default, tls=tls, token=_checked(token))


def token_of(environment: Mapping[str, str]) -> str | None:
    """Return the token that the environment names, if any: PYRO_TOKEN or PYRO_TOKEN_FILE."""
    if token := environment.get("PYRO_TOKEN"):
        return token
    name = environment.get("PYRO_TOKEN_FILE")
    if not name:
        return None
    from pathlib import Path

    try:
        with Path(name).open("rb") as file:
            return file.read(_MAX_TOKEN + 1).decode("ascii").strip() or None
    except (OSError, ValueError) as e:
        raise InvalidError(f"token file {name}: {e}", hint="name a file with the token alone") from e


def from_environment(environment: Mapping[str, str] = os.environ) -> Address | None:
    """Return where PYRO_URL points, or None."""
    url = environment.get("PYRO_URL")
    return parse(url, token_of(environment)) if url else None


def _checked(token: str | None) -> str | None:
    if token and (len(token) > _MAX_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
        raise InvalidError("the token is no printable ASCII text", hint="give it as `pyro serve` has it")
    return token or None


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bad(url: str, what: str) -> InvalidError:
    return InvalidError(f"url {url!r} {what}", hint=_HINT)
