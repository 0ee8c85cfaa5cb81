"""JSON with half of a surrogate pair in it (``\\ud800``): grammatical, and no text (RFC 8259, 8.2).

The decoder refuses it, as many do. To read what else there is, such halves are covered up.
"""

import re
from collections.abc import Iterable, Iterator

MAX_ESCAPES = 20_000  # of surrogates in one body
_MAYBE = re.compile(rb"\\u[dD][89a-fA-F]")
_PARTS = re.compile(
    rb"(?:[^\\]|\\(?!u[dD][89a-fA-F]).)++"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})",
    re.DOTALL,
)
_BEFORE_ITEM = re.compile(rb"[\s\[,]*+")
_BEFORE_VALUE = re.compile(rb'[\s{,]*+"(?:[^"\\]|\\.)*+"\s*+:\s*+', re.DOTALL)


def covered(raw: bytes) -> bytes:
    """The same JSON with U+FFFD in place of each half: the same bytes where there is none, or
    too many escapes to look at each."""
    if _MAYBE.search(raw) is None or raw.count(b"\\ud") + raw.count(b"\\uD") > MAX_ESCAPES:
        return raw
    return _PARTS.sub(lambda part: rb"\ufffd" if part[1] else part[0], raw)


def values(raw: bytes, lengths: Iterable[int]) -> Iterator[bytes]:
    """The values in a JSON object or array, as it was written, by how long each of them is."""
    before = _BEFORE_VALUE if raw.lstrip()[:1] == b"{" else _BEFORE_ITEM
    at = 0
    for length in lengths:
        found = before.match(raw, at)
        assert found is not None
        at = found.end() + length
        yield raw[found.end() : at]
