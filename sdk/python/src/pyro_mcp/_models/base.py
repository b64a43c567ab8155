"""From the JSON of an answer to a value whose fields have the types that they say."""

import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from pyro_mcp._api.errors import InternalError

M = TypeVar("M", bound="Model")
_Reader = Callable[[Any], Any]

_plans: dict[type, list[tuple[str, _Reader]]] = {}


class Model:
    """The base of all answers."""

    @classmethod
    def of(cls: type[M], answer: Any) -> M:  # noqa: ANN401 - it comes from elsewhere
        """Make one of a JSON object. What is absent or null has its empty value."""
        if not isinstance(answer, dict):
            raise InternalError(f"the answer's {cls.__name__} is no JSON object")
        plan = _plans.get(cls) or _plan(cls)
        values = {}
        for name, read in plan:
            try:
                values[name] = read(answer.get(name))
            except TypeError as e:
                raise InternalError(f"the answer's {cls.__name__}.{name} {e}") from e
        return cls(**values)


def _plan(cls: type) -> list[tuple[str, _Reader]]:
    """Find out once how the fields of a class are read."""
    assert is_dataclass(cls)  # noqa: S101 - all models are
    hints = typing.get_type_hints(cls)
    plan = [(field.name, _reader(hints[field.name])) for field in fields(cls)]
    _plans[cls] = plan
    return plan


def _reader(kind: Any) -> _Reader:  # noqa: ANN401 - a type, or what stands for one
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _maybe(_reader(next(part for part in parts if part is not type(None))))
    if origin is tuple:
        return _list_of(_reader(parts[0]))
    if origin is dict:
        return _dict_of(_reader(parts[1]))
    if issubclass(kind, Model):
        return _nested(kind)
    return _SIMPLE[kind]


def _nested(kind: type[Model]) -> _Reader:
    return lambda value: kind.of({} if value is None else value)


def _maybe(read: _Reader) -> _Reader:
    return lambda value: None if value is None else read(value)


def _list_of(read: _Reader) -> _Reader:
    def each(value: Any) -> tuple[Any, ...]:  # noqa: ANN401
        if value is not None and not isinstance(value, list):
            raise TypeError("is no list")
        return tuple(map(read, value or ()))

    return each


def _dict_of(read: _Reader) -> _Reader:
    def each(value: Any) -> dict[str, Any]:  # noqa: ANN401
        if value is not None and not isinstance(value, dict):
            raise TypeError("is no object")
        return {key: read(one) for key, one in (value or {}).items()}

    return each


def _text(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("is no text")
    return value


def _integer(value: Any) -> int:  # noqa: ANN401
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("is no integer")
    return value


def _number(value: Any) -> float:  # noqa: ANN401
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("is no number")
    return float(value)


def _truth(value: Any) -> bool:  # noqa: ANN401
    if value is not None and not isinstance(value, bool):
        raise TypeError("is neither true nor false")
    return bool(value)


_SIMPLE: dict[type, _Reader] = {str: _text, int: _integer, float: _number, bool: _truth}
