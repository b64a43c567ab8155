"""Output of commands while it comes: printed, or told to a function of the caller's."""

import codecs
import re
import sys
from collections.abc import Callable

from pyro_mcp._api.errors import printable

Told = Callable[[str, str], object]
"""Gets output as it comes: "stdout" or "stderr", and text."""

_STREAMS = ("stdout", "stderr")
# Control sequences of ECMA-48 5.4 (colors, moves of the cursor) hold no text.
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_BEGUN = re.compile(r"(?:\r|\x1b(?:\[[0-?]{0,64}[ -/]{0,8})?)\Z")
_RETURN = re.compile(r"\r\n?")  # alone it would let what follows hide what is there


class Harmless:
    """Makes text, however it is cut, such that a terminal only shows it."""

    def __init__(self) -> None:
        self._held = ""

    def of(self, text: str, *, last: bool = False) -> str:
        """Return what can be shown by now."""
        text = self._held + text
        begun = None if last else _BEGUN.search(text)
        self._held = begun[0] if begun else ""
        whole = text[: len(text) - len(self._held)]
        return printable(_RETURN.sub("\n", _SEQUENCE.sub("", whole)))


def teller(stream: bool | Told) -> Callable[[str, bytes], None]:
    """Return what gets output as it comes: it prints, or tells a function. No bytes are the end."""
    if not stream:
        return lambda _, __: None
    decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in _STREAMS}
    screens = {name: Harmless() for name in _STREAMS}

    def tell(name: str, data: bytes, *, last: bool) -> None:
        text = decoders[name].decode(data, last)
        if stream is True:
            _print(name, text, screens[name], last=last)
        elif text and not isinstance(stream, bool):
            stream(name, text)

    def told(name: str, data: bytes) -> None:
        for each in (name,) if data else _STREAMS:
            tell(each, data, last=not data)

    return told


def _print(name: str, text: str, screen: Harmless, *, last: bool) -> None:
    out = getattr(sys, name)
    if out is None:  # of a program without a terminal, on some systems
        return
    if out.isatty():
        text = screen.of(text, last=last)
    if not text:
        return
    try:
        out.write(text)
    except UnicodeEncodeError:  # a locale that knows few characters
        out.write(text.encode(out.encoding, "backslashreplace").decode(out.encoding))
    out.flush()
