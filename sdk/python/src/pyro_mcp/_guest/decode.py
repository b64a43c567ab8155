"""From the bytes of a reply to fields that can be believed to have their types.

The guest is hostile. Whatever it sends becomes a value of the expected type and range, or
an error; and what is held in memory on the way stays near the size of the reply.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from pyro_mcp._guest import limits
from pyro_mcp._guest.errors import AgentError, ProtocolError

_MAX_INT = 2**63 - 1
_MAX_KEYS = 256
_FEW = 1024  # values in a reply without a list; no message of the protocol comes near
_SPARSE = 8  # bytes for each value of a list; an entry has at least twice that

T = TypeVar("T")


@dataclass(frozen=True)
class Fields:
    """The fields of a JSON object. One that is absent or null has its default.

    ``where`` is how errors call the object.
    """

    values: dict[str, Any]
    where: str

    def text(self, name: str, default: str = "") -> str:
        """Return a text; surrogates that stand alone are replaced by U+FFFD."""
        return self._get(name, default, as_text)

    def maybe_text(self, name: str) -> str | None:
        """Return a text, or None."""
        return self._get(name, None, as_text)

    def one_of(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of a few words."""
        word = self.text(name, default)
        if word not in allowed:
            self._refuse(name, f"{word[:64]!r}")
        return word

    def number(self, name: str, default: int = 0) -> int:
        """Return an integer of 64 bits."""
        return self._get(name, default, _as_int)

    def maybe_number(self, name: str) -> int | None:
        """Return an integer of 64 bits, or None."""
        return self._get(name, None, _as_int)

    def count(self, name: str, default: int = 0) -> int:
        """Return an integer that is not negative."""
        value = self.number(name, default)
        if value < 0:
            self._refuse(name, "is negative")
        return value

    def moment(self, name: str) -> float:
        """Return a Unix time in seconds."""
        return self._get(name, 0.0, _as_float)

    def maybe_moment(self, name: str) -> float | None:
        """Return a Unix time in seconds, or None."""
        return self._get(name, None, _as_float)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean."""
        return self._get(name, default, _as_bool)

    def objects(self, name: str) -> list["Fields"]:
        """Return a list of objects."""
        items: list[object] = self._get(name, [], _as_list)
        return [Fields(self._object(name, item), f"{self.where}: {name} {i}") for i, item in enumerate(items)]

    def maybe_texts(self, name: str) -> dict[str, str] | None:
        """Return an object of texts, or None."""
        value = self.values.get(name)
        if value is None:
            return None
        inner = Fields(self._object(name, value), f"{self.where}: {name}")
        return {as_text(key): inner.text(key) for key in inner.values}

    def _object(self, name: str, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(name, "is no object")
        return value

    def _get(self, name: str, default: T, convert: Callable[[object], T]) -> T:
        value = self.values.get(name)
        if value is None:
            return default
        try:
            return convert(value)
        except ValueError as e:
            self._refuse(name, str(e))

    def _refuse(self, name: str, why: str) -> NoReturn:
        raise ProtocolError(f"{self.where}: the agent's reply is a JSON object with a bad {name}: {why}")


def decode_reply(data: bytes, where: str, *, has_list: bool = False) -> Fields:
    """Decode the one JSON object that a reply is. One that carries an error is raised."""
    fields = Fields(_parse(data, where, has_list=has_list), where)
    error = fields.values.get("error")
    if error is not None:
        kind = fields.values.get("kind")
        raise AgentError(_error_text(error), kind if isinstance(kind, str) else "")
    return fields


def _error_text(error: object) -> str:
    text = error if isinstance(error, str) else json.dumps(error)
    return clip(as_text(text), limits.MAX_ERROR_TEXT) or "the agent failed and did not say why"


def clip(text: str, size: int) -> str:
    """Cut text to at most size bytes of UTF-8, and mark the cut."""
    data = text.encode("utf-8")
    if len(data) <= size:
        return text
    mark = " … (truncated)"
    return data[: size - len(mark.encode("utf-8"))].decode("utf-8", "ignore") + mark


def _parse(data: bytes, where: str, *, has_list: bool) -> dict[str, Any]:
    if not data.strip():
        raise ProtocolError(f"{where}: the agent's reply is empty, expected a JSON object")
    _check_shape(data, len(data) // _SPARSE if has_list else _FEW, where)
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise ProtocolError(f"{where}: the agent's reply is a JSON object of too many levels") from None
    except ValueError as e:
        why = clip(as_text(str(e)), 256)
        raise ProtocolError(f"{where}: the agent's reply is no JSON object in UTF-8: {why}") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"{where}: the agent's reply is no JSON object")
    return value


def _check_shape(data: bytes, most: int, where: str) -> None:
    """Refuse a long reply of very many small values, before memory is taken for them.

    Outside of texts every value but the first of its list or object has a comma before it.
    Where the reply is no JSON the count means nothing, and the parser says so.
    """
    if len(data) <= limits.MAX_SHORT_REPLY:
        return
    bare = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Keys are texts too, so there may be some more texts than values.
    if bare.count(b'"') > 4 * most or sum(map(_values, bare.split(b'"')[::2])) > most:
        raise ProtocolError(f"{where}: the agent's reply is a JSON object of more than {most} values")


def _values(structure: bytes) -> int:
    return structure.count(b",") + structure.count(b"[") + structure.count(b"{")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MAX_KEYS:
        raise ValueError(f"an object has more than {_MAX_KEYS} keys")
    # Two readers of a repeated key could see two different replies.
    if len(fields := dict(pairs)) < len(pairs):
        raise ValueError("an object has a key twice")
    return fields


def as_text(value: object) -> str:
    """Return a text that can be encoded."""
    if not isinstance(value, str):
        raise ValueError("is no text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def _as_int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("is no integer")
    if abs(value) > _MAX_INT:
        raise ValueError("is no integer of 64 bits")
    return value


def _as_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is no number")
    if abs(value) > _MAX_INT or math.isnan(value):
        raise ValueError("is no time")
    return float(value)


def _as_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is no boolean")
    return value


def _as_list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("is no list")
    return value
