"""HTTP and frames as bytes, however they are cut and whoever wrote them."""

import pytest

from pyro_mcp._api import frames, http1, limits
from pyro_mcp._api.address import parse
from pyro_mcp._api.errors import InvalidError
from pyro_mcp._api.http1 import Body, Head, ProtocolError, parse_head


def decoded(head: Head, pieces: list[bytes]) -> bytes:
    body = Body(head)
    out = b"".join(map(body.feed, pieces))
    if not body.done:
        body.end()
    return out


CHUNKED = Head(200, {"transfer-encoding": "chunked"})


def test_head_is_read_whole_or_not_at_all() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX:  a b \r\n\r\nrest"
    whole = raw.index(b"rest")
    for cut in range(whole - 1):
        assert parse_head(raw[:cut]) is None
    assert parse_head(raw) == (Head(200, {"content-type": "application/json", "x": "a b"}), b"rest")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * limits.HEAD,
    ],
)
def test_bad_heads_are_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_head(raw)


def test_chunks_are_put_together_however_they_are_cut() -> None:
    raw = b"5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
    for size in range(1, len(raw) + 1):
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        assert decoded(CHUNKED, pieces) == b"hello0123456789"


@pytest.mark.parametrize(
    "raw",
    [
        b"x\r\nhello\r\n0\r\n\r\n",
        b"-1\r\n",
        b"3\r\nhello\r\n",
        b"1" * 20 + b"\r\n",
        b"5" + b";" * 2000,
        b"0\r\n" + b"T: x\r\n" * 100,
        b"0\r\n\r\nmore",
    ],
)
def test_bad_chunks_are_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        decoded(CHUNKED, [raw])


@pytest.mark.parametrize("raw", [b"", b"5\r\nhel", b"5\r\nhello\r\n", b"0\r\n"])
def test_body_that_is_cut_off_is_noticed(raw: bytes) -> None:
    with pytest.raises(EOFError):
        decoded(CHUNKED, [raw])


def test_body_with_a_length() -> None:
    assert decoded(Head(200, {"content-length": "5"}), [b"he", b"llo"]) == b"hello"
    with pytest.raises(EOFError):
        decoded(Head(200, {"content-length": "5"}), [b"hell"])
    with pytest.raises(ProtocolError):
        decoded(Head(200, {"content-length": "5"}), [b"hello!"])
    for length in ("-1", "1e3", "9" * 30, ""):
        with pytest.raises(ProtocolError):
            Body(Head(200, {"content-length": length}))


def test_body_to_the_end_of_the_connection() -> None:
    assert decoded(Head(200, {}), [b"a", b"b"]) == b"ab"


def test_target_encodes_what_callers_say() -> None:
    query: dict[str, http1.QueryValue] = {
        "path": "a b&c=ü",
        "n": 3,
        "yes": True,
        "none": None,
        "p": ["x", "y"],
    }
    assert http1.target("/v1/x", query) == "/v1/x?path=a+b%26c%3D%C3%BC&n=3&yes=true&p=x&p=y"
    assert http1.segment("../a b") == "..%2Fa%20b"


def test_request_holds_no_line_break_of_a_caller() -> None:
    with pytest.raises(ProtocolError):
        http1.request("GET", "/v1/x\r\nHost: evil", "pyro")
    with pytest.raises(ProtocolError):
        http1.request("GET", "/", "pyro", token="a\nb")  # noqa: S106


def test_frames_are_read_however_they_are_cut() -> None:
    raw = (
        frames.encode(frames.STDOUT, b"hello")
        + frames.encode(frames.STDERR)
        + frames.encode_json(frames.EXIT, {"a": 1})
    )
    for size in (1, 2, 7, len(raw)):
        parser = frames.Parser()
        got = []
        for at in range(0, len(raw), size):
            parser.feed(raw[at : at + size])
            while (frame := parser.next()) is not None:
                got.append(frame)
        assert [(chr(f.type), f.payload) for f in got] == [("o", b"hello"), ("e", b""), ("x", b'{"a": 1}')]


def test_frame_beyond_its_bound_is_refused_before_it_comes() -> None:
    with pytest.raises(ProtocolError, match="announces 1048577 bytes"):
        frames.Parser(b"o\x00\x10\x00\x01").next()
    with pytest.raises(ValueError, match="allowed are"):
        frames.encode(frames.STDIN, bytes(frames.MAX_PAYLOAD + 1))


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"[" * 100_000])
def test_frame_that_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        frames.Frame(frames.EXIT, payload).json()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("unix:///run/pyro.sock", "/run/pyro.sock"),
        ("unix:///a%20b", "/a b"),
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700"),
        ("http://[::1]:8700/", "http://[::1]:8700"),
        ("https://example.org", "https://example.org:443"),
    ],
)
def test_urls(url: str, name: str) -> None:
    assert parse(url, "token").name == name


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pyro.sock",
        "unix:relative",
        "unix://host/path",
        "ftp://host",
        "http://",
        "http://host:99999",
        "http://user:secret@127.0.0.1:1",
        "http://127.0.0.1:1/path",
        "http://127.0.0.1:1?x",
        "http://example.org:80",  # a token in the clear
    ],
)
def test_bad_urls_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse(url, "tokenvalue")
    assert "secret" not in str(refused.value)
    assert "tokenvalue" not in str(refused.value)


def test_token_is_in_no_repr() -> None:
    assert "tokenvalue" not in repr(parse("unix:///x", "tokenvalue"))
