"""Bodies of responses become text, whatever their coding and charset."""

import encodings
import gzip
import tracemalloc
import zlib

import pytest

from event_gateway.transport.exchange import Response
from event_gateway.transport.response_text import MAX_TEXT, decode_body

TEXT = "réponse, 応答"


def _decoded(body: bytes, coding: str = "", content_type: str = "") -> Response:
    response = Response(
        500, {"content-encoding": coding, "content-type": content_type}, body, False
    )
    decode_body(response)
    return response


@pytest.mark.parametrize(
    ("body", "coding", "content_type"),
    [
        (TEXT.encode(), "", ""),
        (TEXT.encode(), "identity", "text/plain; charset=utf-8"),
        (gzip.compress(TEXT.encode(), mtime=0), "gzip", "text/plain"),
        (gzip.compress(TEXT.encode(), mtime=0), " GZIP ", "text/plain"),
        (gzip.compress(TEXT.encode(), mtime=0), "x-gzip", ""),
        (zlib.compress(TEXT.encode()), "deflate", ""),
        (TEXT.encode("utf-16"), "", "text/plain; charset=UTF-16"),
        (TEXT.encode("shift_jis", "xmlcharrefreplace"), "", "text/plain;charset=x-no-such"),
        (
            gzip.compress(TEXT.encode("utf-16"), mtime=0),
            "gzip",
            'text/plain; a=b; charset="utf-16"',
        ),
    ],
)
def test_text(body: bytes, coding: str, content_type: str) -> None:
    response = _decoded(body, coding, content_type)
    assert not response.truncated
    if "no-such" in content_type:
        assert response.body == body
    else:
        assert response.body.decode() == TEXT


@pytest.mark.parametrize(
    ("body", "coding"), [(b"no gzip", "gzip"), (b"\x1f\x8b\x08", "br"), (b"x", "gzip, gzip")]
)
def test_what_cannot_be_decoded_stays(body: bytes, coding: str) -> None:
    assert _decoded(body, coding).body == body


@pytest.mark.parametrize(
    "charset",
    ["hex", "zip", "rot13", "undefined", "base64", "idna", "punycode", "unicode_escape", "utf-7"],
)
def test_a_name_that_is_no_charset_changes_nothing(charset: str) -> None:
    body = rb"abc-\u0041+AEE-"
    assert _decoded(body, "", f"text/plain; charset={charset}").body == body


def test_names_that_are_no_charsets_are_not_remembered() -> None:
    before = len(encodings._cache)
    for number in range(100):
        _decoded(b"abc", "", f"text/plain; charset=none-{number}")
    assert len(encodings._cache) == before


@pytest.mark.parametrize("charset", ["iso-8859-1", "ISO_8859-15", "windows-1252", "latin1"])
def test_charsets_of_one_byte(charset: str) -> None:
    assert _decoded(b"r\xe9ponse", "", f"text/plain; charset={charset}").body == "réponse".encode()


def test_a_body_that_was_cut_off_is_decoded_as_far_as_it_came() -> None:
    body = gzip.compress(bytes(range(256)) * 40)
    response = _decoded(body[: len(body) // 2], "gzip")
    assert response.truncated
    assert response.body


def test_what_grows_is_cut() -> None:
    body = gzip.compress(b"\0" * 50_000_000)
    tracemalloc.start()
    try:
        response = _decoded(body, "gzip")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (response.truncated, len(response.body)) == (True, MAX_TEXT)
    assert peak < 1_000_000
