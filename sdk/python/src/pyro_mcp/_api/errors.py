"""What can go wrong with pyro, by what a caller can do about it.

The kinds are those of the HTTP API. The classes also derive from the built-in exceptions
that callers of the product before pyro catch: ValueError for what was asked wrongly,
RuntimeError for the rest, and OSErrors for what happened on the way. What was one or the
other there is both.
"""

import json
import re
from typing import Any

_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return a text in which a guest may have had a hand without what terminals act upon."""
    return _ACTIVE.sub(lambda found: ascii(found[0])[1:-1], text)


class PyroError(Exception):
    """Anything that pyro could not do.

    ``kind`` says what can be done about it, ``op`` what was tried, ``hint`` the next step; the
    last two may be empty. The hint is a note of the exception too, which tracebacks show since
    Python 3.11.
    """

    kind = "internal"

    def __init__(self, text: str, *, hint: str = "", op: str = "") -> None:
        super().__init__(text)
        self.hint = hint
        self.op = op
        if hint:
            self.__notes__ = [f"hint: {printable(hint)}"]

    def __str__(self) -> str:
        # That of OSError would look for a number.
        return printable(str(self.args[0])) if self.args else self.kind


class InvalidError(PyroError, ValueError):
    """An argument is outside its limits; the same call will fail again."""

    kind = "invalid"


class NotFoundError(PyroError, ValueError, RuntimeError):
    """There is no such workspace, file or environment."""

    kind = "not_found"


class ExistsError(PyroError, ValueError, RuntimeError):
    """The name is taken."""

    kind = "exists"


class ConflictError(PyroError, RuntimeError):
    """The thing is in another state, or busy; it may work later."""

    kind = "conflict"


class ExpiredError(PyroError, RuntimeError):
    """The workspace reached the end of its time."""

    kind = "expired"


class UnsupportedError(PyroError, RuntimeError):
    """No engine of the machine, or not this version, can do it."""

    kind = "unsupported"


class UnavailableError(PyroError, RuntimeError, ConnectionError):
    """The other side is gone or does not answer."""

    kind = "unavailable"


class PyroTimeoutError(PyroError, RuntimeError, TimeoutError):
    """It took longer than was allowed."""

    kind = "timeout"


class DeniedError(PyroError, RuntimeError):
    """Policy or permissions refuse it."""

    kind = "denied"


class CanceledError(PyroError, RuntimeError):
    """The caller gave up."""

    kind = "canceled"


class InternalError(PyroError, RuntimeError):
    """A fault of pyro itself."""

    kind = "internal"


_BY_KIND: dict[str, type[PyroError]] = {
    cls.kind: cls
    for cls in (
        InvalidError,
        NotFoundError,
        ExistsError,
        ConflictError,
        ExpiredError,
        UnsupportedError,
        UnavailableError,
        PyroTimeoutError,
        DeniedError,
        CanceledError,
        InternalError,
    )
}

# Of answers that are not pyro's own: something else may stand between.
_BY_STATUS: dict[int, type[PyroError]] = {
    400: InvalidError,
    401: DeniedError,
    403: DeniedError,
    404: NotFoundError,
    405: InvalidError,
    409: ConflictError,
    410: ExpiredError,
    413: InvalidError,
    415: InvalidError,
    429: UnavailableError,
    501: UnsupportedError,
    502: UnavailableError,
    503: UnavailableError,
    504: PyroTimeoutError,
}


def of_reply(reply: dict[str, Any], op: str) -> PyroError:
    """Make the exception of an error as JSON. Its text is kept whole."""
    kind, hint = reply.get("kind"), reply.get("hint")
    known = _BY_KIND.get(kind, InternalError) if isinstance(kind, str) else InternalError
    return known(str(reply.get("error", "")), hint=hint if isinstance(hint, str) else "", op=op)


def of_answer(status: int, body: bytes, op: str) -> PyroError:
    """Make the exception of an answer that is no success."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        reply = None
    if isinstance(reply, dict) and reply.get("error"):
        return of_reply(reply, op)
    known = _BY_STATUS.get(status, InternalError)
    return known(f"{op}: unexpected answer with HTTP status {status}", op=op)
