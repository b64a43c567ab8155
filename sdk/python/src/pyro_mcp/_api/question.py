"""One request and the bounds of its answer, and the words for what went wrong with it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pyro_mcp._api import errors, limits
from pyro_mcp._api.http1 import ProtocolError, QueryValue, target

_DOCTOR = "`pyro doctor` shows what is wrong"

FAULTS = (OSError, EOFError, ProtocolError)
"""What the transport fails with; see :func:`explain`."""


class AbsentError(Exception):
    """Nobody listens there: nothing was sent, so it can be asked elsewhere."""


class Question(NamedTuple):
    """What is asked. ``op`` is how errors call it, ``within`` the seconds that it may take."""

    op: str
    method: str
    path: str
    query: dict[str, QueryValue] | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    within: float = limits.ANSWER
    limit: int = limits.REPLY  # of the answer, in bytes

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.op}: {self.method} {self.path}>"  # without secrets

    def target(self, prefix: str = "") -> str:
        """Return what stands in the request line."""
        return target(prefix + self.path, self.query)


def encode(body: Mapping[str, Any] | None) -> bytes | None:
    """Return a body as JSON. What is None in its first level is left out."""
    if body is None:
        return None
    try:
        said = {k: v for k, v in body.items() if v is not None}
        # What is no Unicode would arrive as another text.
        return json.dumps(said, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as e:
        raise errors.InvalidError(f"the request cannot be JSON: {e}") from e


def decode(question: Question, data: bytes) -> dict[str, Any]:
    """Return an answer, which is a JSON object."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise errors.InternalError(f"{question.op}: the answer is no JSON: {e}", op=question.op) from e
    if not isinstance(value, dict):
        raise errors.InternalError(f"{question.op}: the answer is no JSON object", op=question.op)
    return value


def too_long(question: Question) -> errors.PyroError:
    """Return the error of an answer beyond its limit."""
    return errors.InternalError(
        f"{question.op}: the answer is longer than {question.limit} bytes", op=question.op
    )


def unread(question: Question) -> errors.PyroError:
    """Return the error of a stream on which too much comes while something is sent."""
    return errors.ConflictError(
        f"{question.op}: more than {limits.HELD} bytes came while it was written to, and were not read",
        hint="write less at once and read in between, or give all input to run or communicate",
        op=question.op,
    )


def explain(question: Question, where: str, cause: BaseException) -> errors.PyroError:
    """Return the error of a question that got no whole answer."""
    op = question.op
    if isinstance(cause, errors.PyroError):
        return cause
    if why := getattr(cause, "verify_message", None):  # of ssl, which is not imported for that
        hint = "name the authority's certificates in PYRO_CA_FILE"
        return errors.DeniedError(f"{op}: {where}: {why}", hint=hint, op=op)
    if isinstance(cause, TimeoutError):
        text = f"{op}: no answer from {where} within {question.within:g} s"
        return errors.PyroTimeoutError(text, hint=_DOCTOR, op=op)
    if isinstance(cause, ProtocolError):
        return errors.InternalError(f"{op}: {where}: {cause}", op=op)
    if isinstance(cause, AbsentError):
        hint = "start it with `pyro serve`, or unset PYRO_URL to have one of this program's own"
        return errors.UnavailableError(f"{op}: nobody listens at {where}: {cause}", hint=hint, op=op)
    return errors.UnavailableError(
        f"{op}: {where} went away before it had answered: {cause or type(cause).__name__}",
        hint="look at what there is now: it may have been done, or not; workspaces live on",
        op=op,
    )
