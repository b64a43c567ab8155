"""What is refused before anything is asked.

The server checks all limits; here is what it would take for something else: a zero, which
there means the default, and what is no JSON of that shape.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyro_mcp._api.errors import InvalidError

_MAX_SECRET = 64 << 10  # bytes


def positive(name: str, value: object) -> int:
    """Return a number that is at least 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidError(f"{name} is {value!r}, and has to be a whole number")
    if value < 1:
        raise InvalidError(f"{name} is {value}, allowed are 1 and more")
    return int(value)


def natural(name: str, value: object) -> int:
    """Return a number that is at least 0."""
    return 0 if value == 0 and not isinstance(value, bool) else positive(name, value)


def text(name: str, value: object) -> str:
    """Return a text that says something."""
    if not isinstance(value, str):
        raise InvalidError(f"{name} is {value!r}, and has to be a text")
    if not value.strip():
        raise InvalidError(f"{name} must not be empty")
    return value


def texts(name: str, value: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return texts by text."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidError(f"{name} is {type(value).__name__}, and has to be a dict")
    pairs = dict(value)
    for key, one in pairs.items():
        if not isinstance(key, str) or not isinstance(one, str):
            raise InvalidError(f"{name} holds {key!r}: {type(one).__name__}, and has to hold texts alone")
    return pairs


def secrets(given: Sequence[Mapping[str, Any]] | None) -> list[dict[str, str]] | None:
    """Return secrets as the API takes them. Files are read, on this machine."""
    if given is None:
        return None
    return [_secret(one) for one in _objects("secrets", given)]


def _secret(one: Mapping[str, Any]) -> dict[str, str]:
    name = text("secret name", one.get("name"))
    value, path = one.get("value"), one.get("file_path")
    _known(f"secret {name}", one, "name", "value", "file_path")
    if (value is None) == (path is None):
        raise InvalidError(f"secret {name} has to have either value or file_path")
    if path is None:
        if not isinstance(value, str):  # which is not to be told
            raise InvalidError(f"the value of secret {name} has to be a text")
        return {"name": name, "value": value, "source_kind": "literal"}
    return {"name": name, "value": _content(name, path), "source_kind": "file"}


def _content(name: str, path: str) -> str:
    """Return what a file holds, byte by byte: also the newline at its end."""
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(_MAX_SECRET + 1)
        value = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise InvalidError(f"secret {name}: {path} is not UTF-8") from e
    except (OSError, RuntimeError, TypeError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        raise InvalidError(f"secret {name}: {path}: {why}") from e
    if len(data) > _MAX_SECRET:
        raise InvalidError(f"secret {name}: {path} has more than {_MAX_SECRET} bytes")
    return value


def ports(given: Sequence[Mapping[str, Any]] | None) -> list[dict[str, int]] | None:
    """Return the ports to publish as the API takes them."""
    if given is None:
        return None
    wanted = []
    for one in _objects("published_ports", given):
        _known("published port", one, "guest_port", "host_port")
        port = {"guest_port": positive("guest_port", one.get("guest_port"))}
        if one.get("host_port") is not None:
            port["host_port"] = positive("host_port", one["host_port"])
        wanted.append(port)
    return wanted


def _objects(name: str, given: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence):
        raise InvalidError(f"{name} is {type(given).__name__}, and has to be a list of dicts")
    for one in given:
        if not isinstance(one, Mapping):
            raise InvalidError(f"{name} holds {type(one).__name__}, and has to hold dicts alone")
    return list(given)


def _known(what: str, one: Mapping[str, Any], *keys: str) -> None:
    """Refuse keys that would say nothing."""
    if unknown := sorted(str(key) for key in one if key not in keys):
        raise InvalidError(f"{what} has {unknown[0]!r}, known are {', '.join(keys)}")
