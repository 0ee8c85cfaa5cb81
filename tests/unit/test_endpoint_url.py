"""URLs of the usual form are parsed at once; the result is that of the way for all others."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_gateway.core.text import endpoint_url
from event_gateway.core.text.endpoint_url import parse_endpoint_url
from support.examples import examples

URLS = st.one_of(
    st.from_regex(endpoint_url._USUAL, fullmatch=True),
    st.builds(
        "{}{}{}{}{}".format,
        st.sampled_from(["https://", "http://", "HTTP://", "ftp://", "//", ""]),
        st.sampled_from(["a.example", "A.example", "a..b", "a_b", "xn--bcher-kva.example",
                         "é.example", "127.0.0.1", "0x7f.1", "[::1]", "u@h", "-", "a.", ""]),
        st.sampled_from(["", ":", ":80", ":0", ":080", ":99999", ":65535", ":x"]),
        st.sampled_from(["", "/", "/a/../b", "/a;b?c", "/é", "/a%20b", "//x", "/a b"]),
        st.sampled_from(["", "?", "?a=b", "?a=/?#", "#", "?é", "?[]"]),
    ),
)  # fmt: skip


@given(URLS)
@settings(max_examples=examples(600))
def test_both_ways_of_parsing_give_the_same(url: str) -> None:
    at_once = _parsed(url)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(endpoint_url, "_USUAL", re.compile("(?!)"))
        assert _parsed(url) == at_once


def test_the_usual_form_is_parsed_at_once() -> None:
    assert endpoint_url._USUAL.fullmatch("https://t1.example.com:8443/hooks/1?a=b")
    assert not endpoint_url._USUAL.fullmatch("https://t1.example.com/#x")


def _parsed(url: str) -> object:
    try:
        return parse_endpoint_url(url)
    except ValueError as error:
        return str(error)
