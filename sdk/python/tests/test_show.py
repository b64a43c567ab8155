"""What people see of what a guest says."""

import io
import pickle
import sys
from typing import Any

import pytest

import pyro_mcp as pyro
from pyro_mcp._api.errors import of_reply, printable
from pyro_mcp._api.question import Question, encode
from pyro_mcp._api.show import Harmless, teller

EVIL = "\x1b]52;c;ZXZpbA==\x07 \x9b2J \u202eabc \r\x1b[31mred\x1b[0m\ttab\nline"
SAFE = "\\x1b]52;c;ZXZpbA==\\x07 \\x9b2J \\u202eabc \nred\ttab\nline"


def test_text_of_a_guest_acts_on_no_terminal() -> None:
    text = printable(EVIL)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\ttab\nline" in text


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_screen_shows_the_same_however_it_is_cut(size: int) -> None:
    screen = Harmless()
    shown = [screen.of(EVIL[at : at + size]) for at in range(0, len(EVIL), size)]
    assert "".join(shown) + screen.of("", last=True) == SAFE


def test_sequence_without_an_end_is_shown() -> None:
    screen = Harmless()
    assert screen.of("a\x1b[3") == "a"
    assert screen.of("", last=True) == "\\x1b[3"
    assert screen.of("\x1b[" + "1" * 1000) == "\\x1b[" + "1" * 1000


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminals_get_harmless_text_and_files_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for out, expected in ((Screen(), SAFE), (io.StringIO(newline=""), EVIL)):
        monkeypatch.setattr(sys, "stdout", out)
        tell = teller(True)
        tell("stdout", EVIL.encode())
        tell("stdout", b"")
        assert out.getvalue() == expected


def test_what_a_locale_does_not_know_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    teller(True)("stdout", "é".encode())
    assert out.buffer.getvalue() == b"\\xe9"
    monkeypatch.setattr(sys, "stdout", None)
    teller(True)("stdout", b"nobody listens")


def test_errors_can_be_printed() -> None:
    error = of_reply({"error": f"open {EVIL}", "kind": "not_found", "hint": EVIL}, "read file")
    shown = "".join([str(error), *getattr(error, "__notes__", [])])
    assert "\x1b" not in shown
    assert error.hint == EVIL
    assert isinstance(error, pyro.NotFoundError)


def test_error_of_a_command_says_what_it_cuts() -> None:
    fields: dict[str, Any] = {"command": "c", "exit_code": 1, "stderr": EVIL + "x" * 600}
    error = pyro.CommandError(pyro.CommandResult.of(fields))
    assert "\x1b" not in str(error)
    assert ": …xxx" in str(error)
    assert "…" not in str(pyro.CommandError(pyro.CommandResult.of({**fields, "stderr": "short"})))


def test_errors_travel_between_processes() -> None:
    result = pyro.CommandResult.of({"command": "c", "exit_code": 1})
    for error in (pyro.UnavailableError("x", hint="h", op="o"), pyro.NotFoundError("y", hint="h", op="o")):
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert (type(copy), str(copy), copy.hint, copy.op) == (type(error), str(error), "h", "o")
    assert pickle.loads(pickle.dumps(pyro.CommandError(result))).result == result  # noqa: S301


def test_secrets_stay_out_of_tracebacks() -> None:
    question = Question("create workspace", "POST", "/v1/workspaces", {"q": "s3cret"}, b'{"value": "s3cret"}')
    assert repr(question) == "<Question create workspace: POST /v1/workspaces>"


def test_what_is_no_unicode_is_not_sent_as_another_name() -> None:
    assert encode({"path": "é"}) == '{"path": "é"}'.encode()
    with pytest.raises(pyro.InvalidError, match="surrogates"):
        encode({"path": "n\udcff"})
